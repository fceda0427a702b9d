"""Which steps are done band by band, and in how many bands, so that everything fits the activation memory."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ssvq.network.tiling.segment_cost import SegmentCosts
from ssvq.network.tiling.segments import Segment, middle, split
from ssvq.network.tiling.step_map import StepMap

STEPS_MAX = 24
"""Most steps of a segment of several bands."""
_COUNTS = (1, 2, 3, 4, 6, 8)
"""Numbers of bands; the last two doubled follow, and so on."""


class NoChoice(Exception):
    """There is none. `step` is the number of the first step that nothing leads past."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


@dataclass(frozen=True, kw_only=True)
class _Costs:
    words: int
    cycles: int


class BandChoice:
    """Chooses segments of one network, again and again for less memory or with other tensors in DRAM."""

    def __init__(self, steps: StepMap) -> None:
        self._map, self._costs = steps, SegmentCosts(steps)
        self._known: dict[tuple[object, ...], _Costs] = {}

    def segments(self, words: int, in_dram: Collection[str]) -> list[Segment]:
        """The segments, end to end, that take the fewest cycles with at most `words` words in use at a time.

        Each is in the fewest bands that fit. A step that fits as it is stays as it is, but beside one that does not.
        Raises NoChoice.
        """
        count = len(self._map.steps)
        alone = [self._bands(number, number + 1, words, in_dram) for number in range(count)]
        best: list[tuple[int, tuple[tuple[int, int, int], ...]] | None] = [(0, ()), *([None] * count)]
        for stop in range(1, count + 1):
            for first in range(stop - 1, max(-1, stop - 1 - STEPS_MAX), -1):
                before = best[first]
                if before is None or (first < stop - 1 and alone[first:stop].count(1) == stop - first):
                    continue
                bands = alone[first] if first == stop - 1 else self._bands(first, stop, words, in_dram)
                if bands is None:
                    continue
                total, own = before[0] + self._whole(first, stop, bands, in_dram).cycles, best[stop]
                if own is None or total < own[0]:
                    best[stop] = total, (*before[1], (first, stop, bands))
        found = best[count]
        if found is None:
            raise NoChoice(max(stop for stop in range(count) if best[stop] is not None))
        return [split(self._map, *own, in_dram) for own in found[1]]

    def least_words(self, number: int, in_dram: Collection[str]) -> int:
        """Words that a step alone needs at least, however many its bands are."""
        place = number, number + 1
        passing = self._map.passing(*place, in_dram)
        return passing + min(self._whole(*place, bands, in_dram).words for bands in self._counts(number))

    def _bands(self, first: int, stop: int, words: int, in_dram: Collection[str]) -> int | None:
        """The fewest that fit, as far as more bands take fewer words."""
        room = words - self._map.passing(first, stop, in_dram)
        counts = self._counts(stop - 1)
        if room <= 0 or self._middle(first, stop, counts[-1], in_dram) > room:
            return None
        at = bisect_left(counts, True, key=lambda bands: self._middle(first, stop, bands, in_dram) <= room)
        return next((own for own in counts[at:] if self._whole(first, stop, own, in_dram).words <= room), None)

    def _whole(self, first: int, stop: int, bands: int, in_dram: Collection[str]) -> _Costs:
        key = first, stop, bands, self._touched(first, stop, in_dram)
        if key not in self._known:
            segment = split(self._map, first, stop, bands, in_dram)
            self._known[key] = _Costs(words=self._costs.words(segment), cycles=self._costs.cycles(segment))
        return self._known[key]

    def _middle(self, first: int, stop: int, bands: int, in_dram: Collection[str]) -> int:
        """Words of a band in the middle."""
        if bands <= 2:
            return self._whole(first, stop, bands, in_dram).words
        key = "middle", first, stop, bands, self._touched(first, stop, in_dram)
        if key not in self._known:
            segment = middle(self._map, first, stop, bands, in_dram)
            self._known[key] = _Costs(words=self._costs.words(segment), cycles=0)
        return self._known[key].words

    def _touched(self, first: int, stop: int, in_dram: Collection[str]) -> frozenset[str]:
        names = {name for ranges in self._map.steps[first:stop] for name in ranges.names}
        return frozenset(names.intersection(in_dram))

    def _counts(self, number: int) -> Sequence[int]:
        """Numbers of bands that a step's target may be in, up to one for each row."""
        rows = self._map.band_rows(number)
        counts = list(_COUNTS)
        while counts[-1] < rows:
            counts += [2 * counts[-2], 2 * counts[-1]]
        return [*(count for count in counts if count < rows), rows]
