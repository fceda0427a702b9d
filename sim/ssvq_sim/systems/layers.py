"""Random integer layers; everything follows from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.integer_convolution import IntegerConvolution
from ssvq.integer_layer import IntegerLayer
from ssvq.reference import ActivationScale
from ssvq_gen.arithmetic import MANTISSA_MAX
from ssvq_gen.config import WeightFormat
from ssvq_gen.stream_format import NARROW_BIAS_WIDTH

_NARROW_EDGES = np.array([-(1 << (NARROW_BIAS_WIDTH - 1)), (1 << (NARROW_BIAS_WIDTH - 1)) - 1, -1])


def random_layer(rng: np.random.Generator, **choices: Any) -> IntegerLayer:
    """A layer with extreme and random values, its outputs spread over int8; see `_random_weights`."""
    return IntegerLayer(**_random_weights(rng, **choices))


def random_convolution(
    rng: np.random.Generator, *, geometry: ConvolutionGeometry, **choices: Any
) -> IntegerConvolution:
    """The same with the kernel of `geometry`."""
    return IntegerConvolution(geometry=geometry, **_random_weights(rng, positions=geometry.positions, **choices))


def _random_weights(
    rng: np.random.Generator,
    *,
    weight_format: WeightFormat,
    out_channels: int,
    in_channels: int,
    positions: int = 1,
    codebook_size: int = 16,
    vector_dim: int = 8,
    bias_shift: int | None = None,
    shared_multiplier: bool = False,
    name: str = "layer",
) -> dict[str, Any]:
    """Fields of `IntegerWeights`."""
    codes: dict[str, Any] = {}
    if weight_format is WeightFormat.INT8:
        weight = rng.integers(-128, 128, (out_channels, positions * in_channels), dtype=np.int8)
    else:
        vectors = -(-in_channels // vector_dim)
        low = 0 if weight_format is WeightFormat.SSVQ else -128
        codebook = rng.integers(low, 128, (codebook_size, vector_dim), dtype=np.int8)
        indices = rng.integers(0, codebook_size, (out_channels, positions * vectors))
        decoded = codebook[indices].reshape(out_channels, positions * vectors * vector_dim)
        codes = {"codebook": codebook, "indices": indices, "codebook_size": codebook_size, "vector_dim": vector_dim}
        if weight_format is WeightFormat.SSVQ:
            signs = rng.integers(0, 2, decoded.shape).astype(bool)
            codes["signs"], decoded = signs, np.where(signs, -decoded, decoded)
        weight = decoded.reshape(out_channels, positions, -1)[..., :in_channels].reshape(out_channels, -1)
    bias = rng.integers(-(1 << 18), 1 << 18, out_channels)
    mantissa = rng.integers(0, MANTISSA_MAX + 1, out_channels)
    exponent = rng.integers(4, 16, out_channels)
    if bias_shift is not None:
        limit = 1 << (NARROW_BIAS_WIDTH - 1)
        narrow = np.clip(bias >> bias_shift, -limit, limit - 1)
        narrow[: len(_NARROW_EDGES)] = _NARROW_EDGES[:out_channels]
        bias = narrow << bias_shift
    if shared_multiplier:
        mantissa[:], exponent[:] = mantissa[0], exponent[0]
    return {
        "name": name,
        "weight_format": weight_format,
        "weight": weight,
        "bias": bias,
        "mantissa": mantissa,
        "exponent": exponent,
        "bias_shift": bias_shift,
        "shared_multiplier": shared_multiplier,
        "input_scale": ActivationScale(scale=0.05, zero_point=int(rng.integers(-128, 128))),
        "output_scale": ActivationScale(scale=0.1, zero_point=int(rng.integers(-128, 128))),
        "clamp_min": int(rng.integers(-128, -100)),
        "clamp_max": int(rng.integers(100, 128)),
        **codes,
    }


def random_input(rng: np.random.Generator, tokens: int, layer: IntegerLayer) -> Any:
    """int8 (tokens, K)."""
    return rng.integers(-128, 128, (tokens, layer.in_channels), dtype=np.int8)
