"""Random layers, windows and configurations, as strategies of Hypothesis."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.integer_layer import IntegerLayer
from ssvq_gen.config import ACTIVATION_BANKS, CoreConfig, WeightFormat

from .layers import random_layer


@st.composite
def configs(draw: st.DrawFn, *, activation_words: st.SearchStrategy[int] | None = None) -> CoreConfig:
    """Small configurations: all relations of rows, columns, lanes and bus width. Odd numbers of words round up."""
    rows, cols = draw(st.sampled_from((4, 8, 16, 32))), draw(st.sampled_from((8, 16, 32)))
    bus = draw(st.sampled_from((32, 64, 128, 256, 512)))
    words = draw(activation_words if activation_words is not None else st.just(1024))
    base = CoreConfig(
        name="random",
        rows=rows,
        cols=cols,
        axi_data_width=bus,
        activation_bytes=-(-words // ACTIVATION_BANKS) * ACTIVATION_BANKS * max(rows, cols),
        accumulator_depth=draw(st.sampled_from((4, 8, 64))),
        max_codebook_size=256,
        weight_cache_bytes=draw(st.sampled_from((0, 1 << 10, 1 << 13))),
    )
    lanes = draw(st.sampled_from(base.lane_choices))
    requantize = draw(st.sampled_from([1 << i for i in range(cols.bit_length())]))
    return base.replace(decode_lanes=lanes, requantize_lanes=requantize)


@st.composite
def geometries(draw: st.DrawFn, *, height: int, width: int, most: int = 4) -> ConvolutionGeometry:
    """Kernels up to `most` with a window in an image."""
    pairs = st.tuples(st.integers(1, most), st.integers(1, most))
    padding = draw(st.tuples(*(st.integers(0, most),) * 4))
    lengths = height + padding[0] + padding[1], width + padding[2] + padding[3]

    def dilation(size: int, length: int) -> int:
        return draw(st.integers(1, min(3, (length - 1) // (size - 1)) if size > 1 else 3))

    sizes = draw(pairs)
    kernel = min(sizes[0], lengths[0]), min(sizes[1], lengths[1])
    dilations = dilation(kernel[0], lengths[0]), dilation(kernel[1], lengths[1])
    return ConvolutionGeometry(kernel=kernel, stride=draw(pairs), padding=padding, dilation=dilations)


@st.composite
def layers_on(draw: st.DrawFn, config: CoreConfig, *, max_channels: int = 70) -> IntegerLayer:
    """A random layer that `config` can decode."""
    return random_layer(**draw(weights_on(config, max_channels=max_channels)))


@st.composite
def weights_on(draw: st.DrawFn, config: CoreConfig, *, max_channels: int = 70) -> dict[str, Any]:
    """Arguments of `random_layer` and `random_convolution` for layers that `config` can decode."""
    dims = [d for d in (2, 4, 8, 16, 32) if d <= config.max_vector_dim]
    dim = draw(st.sampled_from(dims))
    sizes = [1 << i for i in range(1, 9) if (1 << i) * max(1, dim // 4) <= config.codebook_depth]
    return {
        "rng": np.random.default_rng(draw(st.integers(0, 2**32 - 1))),
        "weight_format": draw(st.sampled_from(list(WeightFormat))),
        "out_channels": draw(st.integers(1, max_channels)),
        "in_channels": draw(st.integers(1, max_channels)),
        "codebook_size": draw(st.sampled_from(sizes)),
        "vector_dim": dim,
        "bias_shift": draw(st.none() | st.integers(0, 15)),
        "shared_multiplier": draw(st.booleans()),
    }
