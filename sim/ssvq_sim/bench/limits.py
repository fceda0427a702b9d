"""The yardstick of the measurements: cycles that products need at least, from their arithmetic and their bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ssvq.integer_layer import IntegerLayer
from ssvq.weight_stream import stream_format_of, tile_counts
from ssvq_gen.config import CoreConfig

from ..real_layers import FormatChoice
from .shapes import Kind, ProductShape


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one product asks of a core.

    stream_bytes : its weight stream: indices, signs, codebook, biases and padding; 0 for an attention product
    weight_bytes : the bits of its weights alone
    """

    shape: ProductShape
    compute_cycles: int
    stream_bytes: int
    weight_bytes: float

    def cycles(self, rate: float, *, weights_only: bool = False) -> float:
        """The larger of compute and weight stream, for a bus of `rate` bytes per cycle."""
        return max(self.compute_cycles, (self.weight_bytes if weights_only else self.stream_bytes) / rate)


def bits_per_weight(choice: FormatChoice) -> float:
    """Bits of a weight in a format: sign and its part of an index, or 8."""
    if choice.codebook_size is None or choice.vector_dim is None:
        return 8.0
    return 1 + math.log2(choice.codebook_size) / choice.vector_dim


def work_of(config: CoreConfig, shape: ProductShape, choice: FormatChoice, layer: IntegerLayer | None = None) -> Work:
    """The work of a product; `layer` is that of its weights, and may be left out for an attention product only."""
    if (layer is None) != (shape.kind is not Kind.WEIGHTS):
        raise ValueError(f"product {shape.name!r} must have a layer exactly if its operand is weights")
    weight_count = shape.in_channels * shape.out_channels if layer else 0
    return Work(
        shape=shape,
        compute_cycles=shape.compute_cycles(config),
        stream_bytes=stream_format_of(layer, config).total_bytes(*tile_counts(layer, config)) if layer else 0,
        weight_bytes=weight_count * bits_per_weight(choice) / 8,
    )


def roofline_cycles(works: Sequence[Work], load_bytes: int, rate: float, *, weights_only: bool = False) -> float:
    """Sum over products of the larger of compute and weight stream, and the time of LOADs."""
    return sum(work.cycles(rate, weights_only=weights_only) for work in works) + load_bytes / rate


def prefetch_bound(works: Sequence[Work], load_bytes: int, rate: float) -> float:
    """Least cycles when weights and LOADs overlap with the computation of any product."""
    moved = sum(work.stream_bytes for work in works) + load_bytes
    return max(sum(work.compute_cycles for work in works), moved / rate)
