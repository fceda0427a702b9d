"""Which steps are done band by band, and in how many bands, so that everything fits the activation memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssvq.network.segment_cost import SegmentCosts
from ssvq.network.segments import Segment, StepMap

STEPS_MAX = 24
"""Most steps of a segment of several bands."""
_COUNTS = (1, 2, 3, 4, 6, 8)
"""Numbers of bands; the last two doubled follow, and so on."""


class NoChoice(Exception):
    """There is none. `step` is the number of the first step that nothing leads past."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


def choose_segments(steps: StepMap, words: int) -> list[Segment]:
    """The segments, end to end, that take the fewest cycles of all with at most `words` words in use at a time.

    Each is in the fewest bands that fit. A step that fits as it is stays as it is, but beside one that does not.
    Raises NoChoice.
    """
    costs = SegmentCosts(steps)
    count = len(steps.steps)
    alone = [_fitting(steps, costs, number, number + 1, words) for number in range(count)]
    is_whole = [segment is not None and segment.bands == 1 for segment in alone]
    best: list[tuple[int, list[Segment]] | None] = [(0, []), *([None] * count)]
    for stop in range(1, count + 1):
        for first in range(stop - 1, max(-1, stop - 1 - STEPS_MAX), -1):
            before = best[first]
            if before is None or (first < stop - 1 and all(is_whole[first:stop])):
                continue
            segment = alone[first] if first == stop - 1 else _fitting(steps, costs, first, stop, words)
            if segment is None:
                continue
            total, own = before[0] + costs.cycles(segment), best[stop]
            if own is None or total < own[0]:
                best[stop] = total, [*before[1], segment]
    found = best[count]
    if found is None:
        raise NoChoice(max(stop for stop in range(count) if best[stop] is not None))
    return found[1]


def least_words(steps: StepMap, number: int) -> int:
    """Words that a step alone takes at least, however many its bands are."""
    costs = SegmentCosts(steps)
    return min(costs.words(steps.segment(number, number + 1, bands)) for bands in _counts(steps, number))


def _fitting(steps: StepMap, costs: SegmentCosts, first: int, stop: int, words: int) -> Segment | None:
    """In the fewest bands that fit."""
    if costs.least(first, stop) > words:
        return None
    for bands in _counts(steps, stop - 1):
        segment = steps.segment(first, stop, bands)
        if costs.words(segment) <= words:
            return segment
    return None


def _counts(steps: StepMap, number: int) -> Iterator[int]:
    """Numbers of bands that a step's target may be in, up to one for each row."""
    block = steps.steps[number].target
    rows = -(-block.tokens // steps.rows[block.tensor])
    counts: Sequence[int] = _COUNTS
    while counts[-1] < rows:
        counts = [*counts, 2 * counts[-2], 2 * counts[-1]]
    yield from (count for count in counts if count < rows)
    yield rows
