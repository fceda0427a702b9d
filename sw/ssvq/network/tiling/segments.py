"""Runs of steps, band by band: what each band makes, and where."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ssvq.network.tiling.step_map import StepMap
from ssvq.network.tiling.token_ranges import Copy, Range, joined


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is done of one step in one band.

    Attributes:
        step: its number in the network.
        band: counted from 0.
        made: activations of its target's tensor.
        copies: of tensors that are not, or not as a whole, in the activation memory, by their names.
        fills: of these, what is fetched from DRAM before.
        spills: of these, what goes to DRAM afterwards.
    """

    step: int
    band: int
    made: Range
    copies: Mapping[str, Copy]
    fills: tuple[Copy, ...]
    spills: tuple[Copy, ...]


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Consecutive steps, from `first` to before `stop`, that are done in `bands` bands of the last one's target."""

    first: int
    stop: int
    bands: int
    parts: tuple[Part, ...]


def split(steps: StepMap, first: int, stop: int, bands: int, in_dram: Collection[str]) -> Segment:
    """Steps in bands; what is in DRAM is in the activation memory only as copies."""
    splitter = _Splitter(steps, first, stop, bands, in_dram)
    parts = tuple(part for band in range(bands) for part in splitter.band(band))
    return Segment(first=first, stop=stop, bands=bands, parts=parts)


def middle(steps: StepMap, first: int, stop: int, bands: int, in_dram: Collection[str]) -> Segment:
    """A band in the middle of `split` and the one before it, which take as much memory as any."""
    splitter = _Splitter(steps, first, stop, bands, in_dram)
    band = max(1, bands // 2)
    if band > 1:
        splitter.band(band - 2)
        splitter.forget()
    parts = (*splitter.band(band - 1), *splitter.band(band))
    return Segment(first=first, stop=stop, bands=bands, parts=parts)


class _Splitter:
    """Gives bands in their order.

    What is used outside the segment is made without gaps between bands, and to its end. What only the segment's own
    steps take is made as far as they need it, and once when all bands need the same.
    """

    def __init__(self, steps: StepMap, first: int, stop: int, bands: int, in_dram: Collection[str]) -> None:
        self._map, self._stop, self._bands = steps, stop, bands
        self._steps = [(number, steps.steps[number]) for number in range(first, stop)]
        names = {name for _, ranges in self._steps for name in ranges.names}
        self._inner = {name for name in names if steps.is_inner(name, first, stop)}
        self._in_dram = set(in_dram) - self._inner
        self._lasting = {name for name in self._inner if steps.is_made_first(name)}
        self._covered = {number: ranges.made[0] for number, ranges in self._steps}
        self._kept: dict[str, Copy] = {}
        self._wanted: dict[str, Range] = {}

    def forget(self) -> None:
        """What the last band left in the memory, but not how far it came."""
        self._kept = {}

    def band(self, band: int) -> list[Part]:
        """What the last steps need of those before, and then in the order of the steps."""
        wanted: dict[str, Range] = {}
        made: dict[int, Range] = {}
        at_first: dict[str, Range] = {}
        for number, ranges in reversed(self._steps):
            name = ranges.target
            if name in wanted:
                at_first.setdefault(name, wanted[name])
            if name in self._lasting and name in at_first and at_first[name] == self._wanted.get(name):
                continue
            part = self._made(number, band, wanted.get(name))
            if part is None:
                continue
            made[number] = part
            self._covered[number] = max(self._covered[number], part[1])
            wanted[name] = joined(part, wanted.get(name, part))
            for tensor, tokens in ranges.taken(part):
                wanted[tensor] = joined(tokens, wanted[tensor]) if tensor in wanted else tokens
        self._wanted = at_first
        return self._in_order(band, made, self._copies(wanted, made))

    def _made(self, number: int, band: int, wanted: Range | None) -> Range | None:
        """What a step makes in a band, of which `wanted` is taken in the segment."""
        ranges, covered = self._map.steps[number], self._covered[number]
        name = ranges.target
        if name in self._inner:
            return None if wanted is None else ranges.part(wanted)
        start, stop = ranges.made
        if number == self._stop - 1 or wanted is None:
            row = self._map.rows[name]
            edge = min(stop, start + (band + 1) * -(-(stop - start) // row) // self._bands * row)
            wanted = joined((covered, edge), wanted or (covered, edge))
        if band == self._bands - 1:
            wanted = joined(wanted, (covered, stop))
        first = covered
        if name in self._in_dram:
            unit = math.lcm(self._map.alignments[name], self._map.rows[name])
            first = min(covered, wanted[0]) // unit * unit
        return ranges.part((first, wanted[1])) if wanted[1] > first else None

    def _copies(self, wanted: Mapping[str, Range], made: Iterable[int]) -> dict[str, Copy]:
        """Of all tensors that are in the memory for this band only, or in part."""
        found: dict[str, Copy] = {}
        targets = {self._map.steps[number].target for number in made}
        for name, tokens in wanted.items():
            if not self._is_copied(name, tokens):
                continue
            unit = self._map.alignments[name] if name in self._in_dram else 1
            start, stop = tokens[0] // unit * unit, tokens[1]
            kept = self._kept.get(name)
            if kept is None or name in targets or not kept.tokens[0] <= start < stop <= kept.tokens[1]:
                kept = Copy(name=f"{name}[{start}:{stop}]", tensor=name, tokens=(start, stop))
            found[name] = kept
        return found

    def _is_copied(self, name: str, tokens: Range) -> bool:
        if name in self._in_dram:
            return True
        tensor = self._map.tensors[name]
        is_whole = tokens == (0, tensor.tokens) and self._bands == 1
        return not is_whole and (tensor.values is not None or name in self._inner)

    def _in_order(self, band: int, made: Mapping[int, Range], copies: Mapping[str, Copy]) -> list[Part]:
        writers: dict[str, list[int]] = {}
        for number in sorted(made):
            writers.setdefault(self._map.steps[number].target, []).append(number)
        filled = self._filled(made, copies, writers)
        found = []
        for number in sorted(made):
            ranges = self._map.steps[number]
            fills = tuple(filled.pop(name) for name in ranges.names if name in filled)
            is_last = ranges.target in self._in_dram and writers[ranges.target][-1] == number
            found.append(
                Part(
                    step=number,
                    band=band,
                    made=made[number],
                    copies={name: copies[name] for name in ranges.names if name in copies},
                    fills=fills,
                    spills=(copies[ranges.target],) if is_last else (),
                )
            )
        self._kept = dict(copies)
        return found

    def _filled(
        self, made: Mapping[int, Range], copies: Mapping[str, Copy], writers: Mapping[str, Sequence[int]]
    ) -> dict[str, Copy]:
        """Copies that take from DRAM what this band does not make."""
        found = {}
        for name, copy in copies.items():
            if name not in self._in_dram or self._kept.get(name) is copy:
                continue
            own = writers.get(name, [])
            needed = [n for n in self._map.writers.get(name, []) if self._map.steps[n].part(copy.tokens) is not None]
            if not own or own != needed or not all(self._is_made(n, made[n], copy.tokens) for n in own):
                found[name] = copy
        return found

    def _is_made(self, number: int, made: Range, tokens: Range) -> bool:
        """Whether what is made of a step is all that it makes of these activations."""
        start, stop = self._map.steps[number].made
        return made[0] <= max(start, tokens[0]) and min(stop, tokens[1]) <= made[1]
