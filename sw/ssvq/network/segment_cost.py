"""What a segment takes: words of the activation memory at a time, and roughly how many cycles."""

from __future__ import annotations

import numpy as np

from ssvq.integer_convolution import IntegerConvolution
from ssvq.integer_layer import IntegerLayer
from ssvq.network.integer_network import LinearStep, ProductStep, Step
from ssvq.network.operation_constants import operation_of
from ssvq.network.segments import Segment, StepMap
from ssvq.network.token_ranges import Copy, Range
from ssvq.vector_image import parameter_words, table_words
from ssvq.weight_stream import stream_format_of, tile_counts
from ssvq.window_operation import WindowOperation
from ssvq_gen.config import CoreConfig


class SegmentCosts:
    """Costs of the segments of one network; constants and weight streams are looked at once.

    Cycles are those of the array or the vector unit, or of the weights where they take longer, at one byte a cycle, and
    of all that is fetched from DRAM and goes there. They only compare ways to do the same.
    """

    def __init__(self, steps: StepMap) -> None:
        self._map = steps
        self._constants = [_constant_words(step, steps.config) for step in steps.steps]
        self._work = [_Work(step, steps.config) for step in steps.steps]

    def words(self, segment: Segment) -> int:
        """Most words that are in use at a time, if nothing is lost between what is in use."""
        last = len(segment.parts) - 1
        spans: dict[str, list[int]] = {}
        words: dict[str, int] = {}

        def use(name: str, count: int, first: int, stop: int) -> None:
            span = spans.setdefault(name, [first, stop])
            span[0], span[1], words[name] = min(span[0], first), max(span[1], stop), count

        for time, part in enumerate(segment.parts):
            step = self._map.steps[part.step]
            for copy in part.copies.values():
                use(copy.name, self._copy_words(copy), time, time)
            for block in (*step.sources, step.target):
                if block.tensor not in part.copies:
                    start, end = self._kept(block.tensor, segment, time, last)
                    use(block.tensor, self._tensor_words(block.tensor), start, end)
            if self._constants[part.step]:
                use(f"{part.step} ", self._constants[part.step], max(0, time - 1), time)
        steps = np.zeros(last + 2, dtype=np.int64)
        for name, (start, end) in spans.items():
            steps[start] += words[name]
            steps[end + 1] -= words[name]
        return int(np.cumsum(steps).max()) + self._passing(segment, spans)

    def least(self, first: int, stop: int) -> int:
        """Words of what is there as a whole in the last of some steps, or passes over all of them."""
        return sum(
            self._tensor_words(name)
            for name, written in self._map.written.items()
            if name not in self._map.in_dram and written < stop <= self._map.used.get(name, -1)
        )

    def _kept(self, name: str, segment: Segment, time: int, last: int) -> Range:
        """From when to when a tensor that is there as a whole must be there, for one use."""
        is_before = self._map.written.get(name, segment.first) < segment.first
        return 0 if is_before else time, last if self._map.used[name] >= segment.stop else time

    def _passing(self, segment: Segment, taken: dict[str, list[int]]) -> int:
        """Words of what is there before and used later only."""
        return sum(
            self._tensor_words(name)
            for name, written in self._map.written.items()
            if name not in taken
            and name not in self._map.in_dram
            and written < segment.first
            and self._map.used.get(name, -1) >= segment.stop
        )

    def _copy_words(self, copy: Copy) -> int:
        return (copy.tokens[1] - copy.tokens[0]) * self._map.token_words(copy.tensor)

    def _tensor_words(self, name: str) -> int:
        return self._map.tensors[name].tokens * self._map.token_words(name)

    def cycles(self, segment: Segment) -> int:
        """Rough cycles of all its parts."""
        total = 0
        for part in segment.parts:
            total += self._work[part.step].cycles(part.made[1] - part.made[0])
            moved = sum(self._copy_words(copy) for copy in (*part.fills, *part.spills))
            total += moved * self._map.config.word_bytes
        return total


class _Work:
    """How long a step takes for some of the activations of its target."""

    def __init__(self, step: Step, config: CoreConfig) -> None:
        self._depth, self._stream = config.accumulator_depth, 0
        weights = step.layer if isinstance(step, LinearStep) else getattr(step, "operation", None)
        if isinstance(weights, IntegerLayer | IntegerConvolution):
            k_tiles, n_tiles = tile_counts(weights, config)
            self._stream = stream_format_of(weights, config).total_bytes(k_tiles, n_tiles)
            self._each = k_tiles * n_tiles
        elif isinstance(step, ProductStep):
            k_tiles = -(-step.product.in_channels // config.rows)
            self._each = k_tiles * -(-step.product.out_channels // config.cols)
        else:
            channels = -(-step.target.channels // config.word_bytes) * config.word_bytes
            positions = weights.geometry.positions if isinstance(weights, WindowOperation) else 1
            self._each = channels * positions // max(1, config.vector_lanes)

    def cycles(self, tokens: int) -> int:
        return max(tokens * self._each, -(-tokens // self._depth) * self._stream)


def _constant_words(step: Step, config: CoreConfig) -> int:
    operation = operation_of(step)
    return 0 if operation is None else len(parameter_words(operation, config)) + len(table_words(operation, config))
