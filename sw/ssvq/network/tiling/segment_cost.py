"""What segments take: words of the activation memory at a time, and roughly how many cycles."""

from __future__ import annotations

from itertools import accumulate

from ssvq.integer_convolution import IntegerConvolution
from ssvq.integer_layer import IntegerLayer
from ssvq.network.errors import GraphError
from ssvq.network.integer.integer_network import LinearStep, ProductStep, Step
from ssvq.network.program.operation_constants import operation_of
from ssvq.network.tiling.segments import Part, Segment
from ssvq.network.tiling.step_map import StepMap
from ssvq.network.tiling.token_ranges import Copy, Range
from ssvq.vector_image import parameter_words, table_words
from ssvq.weight_stream import stream_format_of, tile_counts
from ssvq.window_operation import WindowOperation
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import FormatError


class SegmentCosts:
    """Costs of the segments of one network; its constants and weight streams are looked at once.

    Cycles are those of the array or the vector unit, or of the weights where they take longer, at one byte a cycle, and
    of all that is fetched from DRAM and goes there. They only compare ways to do the same.

    Raises GraphError when the core has no format for a layer's weights.
    """

    def __init__(self, steps: StepMap) -> None:
        self._map = steps
        self._constants = [_constant_words(ranges.step, steps.config) for ranges in steps.steps]
        self._work = [_Work(ranges.step, steps.config) for ranges in steps.steps]

    def words(self, segment: Segment) -> int:
        """Most words in use at a time, if none are lost between them; what passes over all of its steps is left out."""
        spans: dict[str, Range] = {}
        words: dict[str, int] = {}
        last = len(segment.parts) - 1
        for time, part in enumerate(segment.parts):
            for name in self._map.steps[part.step].names:
                copy = part.copies.get(name)
                if copy is not None:
                    key, span, words[copy.name] = copy.name, (time, time), self._copy_words(copy)
                else:
                    key, span, words[name] = name, self._kept(name, segment, time), self._map.tensor_words(name)
                before = spans.get(key, span)
                spans[key] = min(before[0], span[0]), max(before[1], span[1])
            if self._constants[part.step]:
                key = f"{part.step} constants"
                words[key] = self._constants[part.step]
                spans[key] = spans.get(key, (max(0, time - 1), 0))[0], time
        changes = [0] * (last + 2)
        for name, (start, end) in spans.items():
            changes[start] += words[name]
            changes[end + 1] -= words[name]
        return max(accumulate(changes))

    def cycles(self, segment: Segment) -> int:
        """Rough cycles of all its parts."""
        return sum(self._part_cycles(part) for part in segment.parts)

    def _part_cycles(self, part: Part) -> int:
        moved = sum(self._copy_words(copy) for copy in (*part.fills, *part.spills))
        return self._work[part.step].cycles(part.made[1] - part.made[0]) + moved * self._map.config.word_bytes

    def _kept(self, name: str, segment: Segment, time: int) -> Range:
        """From when to when a tensor that is there as a whole must be there, for one use."""
        is_before = self._map.written.get(name, segment.first) < segment.first
        is_after = self._map.used[name] >= segment.stop
        return 0 if is_before else time, len(segment.parts) - 1 if is_after else time

    def _copy_words(self, copy: Copy) -> int:
        return (copy.tokens[1] - copy.tokens[0]) * self._map.words[copy.tensor]


class _Work:
    """How long a step takes for some of the activations of its target."""

    def __init__(self, step: Step, config: CoreConfig) -> None:
        self._depth, self._stream = config.accumulator_depth, 0
        weights = step.layer if isinstance(step, LinearStep) else getattr(step, "operation", None)
        if isinstance(weights, IntegerLayer | IntegerConvolution):
            k_tiles, n_tiles = tile_counts(weights, config)
            try:
                self._stream = stream_format_of(weights, config).total_bytes(k_tiles, n_tiles)
            except FormatError as error:
                raise GraphError(step.name, str(error)) from error
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
