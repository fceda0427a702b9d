"""Runs of steps, band by band: what each band makes, and where."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ssvq.network.integer_network import IntegerNetwork, Step, StoredTensor
from ssvq.network.token_ranges import Copy, Range, hull, made_by, part_made, part_taken, row_tokens
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DRAM_ALIGNMENT


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is done of one step in one band.

    Attributes:
        step: its number in the network.
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


class StepMap:
    """A network's steps by the tensors that they write and read.

    Attributes:
        in_dram: names of tensors that are there; they are in the activation memory only as copies.
        written, used: first step that writes a tensor (-1 for what is there before), last that reads or writes it; an
            output is used after all steps.
    """

    def __init__(self, network: IntegerNetwork, config: CoreConfig, in_dram: Collection[str]) -> None:
        self.network, self.config, self.in_dram = network, config, frozenset(in_dram)
        self.steps, self.tensors = network.steps, network.tensors
        self.rows = row_tokens(network.steps)
        self.writers: dict[str, list[int]] = {}
        self.used = {view.tensor: len(self.steps) for view in network.outputs.values()}
        for number, step in enumerate(self.steps):
            self.writers.setdefault(step.target.tensor, []).append(number)
            for block in (*step.sources, step.target):
                self.used[block.tensor] = max(self.used.get(block.tensor, 0), number)
        self.read = _first_readers(self.steps)
        self.written = {name: numbers[0] for name, numbers in self.writers.items()}
        self.written |= {own.tensor: -1 for own in network.inputs}

    def token_words(self, name: str) -> int:
        """Words of an activation."""
        return -(-self.tensors[name].channels // self.config.word_bytes)

    def alignment(self, name: str) -> int:
        """Activations at multiples of which a transfer may begin."""
        size = self.token_words(name) * self.config.word_bytes
        return math.lcm(size, DRAM_ALIGNMENT) // size

    def is_inner(self, name: str, first: int, stop: int) -> bool:
        """Nothing before or after these steps writes or reads a tensor."""
        return first <= self.written.get(name, -1) and self.used[name] < stop

    def is_made_first(self, name: str) -> bool:
        """All of a tensor is written before some of it is read."""
        return self.writers[name][-1] < self.read.get(name, len(self.steps))

    def segment(self, first: int, stop: int, bands: int) -> Segment:
        """Steps in bands."""
        splitter = _Splitter(self, first, stop, bands)
        return Segment(first=first, stop=stop, bands=bands, parts=tuple(splitter.parts()))


def _first_readers(steps: Sequence[Step]) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, step in enumerate(steps):
        for block in step.sources:
            found.setdefault(block.tensor, number)
    return found


class _Splitter:
    def __init__(self, steps: StepMap, first: int, stop: int, bands: int) -> None:
        self._map, self._first, self._stop, self._bands = steps, first, stop, bands
        self._covered = {number: made_by(steps.steps[number])[0] for number in range(first, stop)}
        self._kept: dict[str, Copy] = {}
        self._wanted: dict[str, Range] = {}

    def parts(self) -> list[Part]:
        return [part for band in range(self._bands) for part in self._band(band)]

    def _step(self, number: int) -> Step:
        return self._map.steps[number]

    def _band(self, band: int) -> list[Part]:
        """What the last steps need of those before, and then in the order of the steps."""
        wanted: dict[str, Range] = {}
        made: dict[int, Range] = {}
        first_wanted: dict[str, Range] = {}
        for number in reversed(range(self._first, self._stop)):
            step = self._step(number)
            name = step.target.tensor
            if name in wanted:
                first_wanted.setdefault(name, wanted[name])
            if self._is_there(name, first_wanted.get(name)):
                continue
            part = self._made(number, band, wanted.get(name))
            if part is None:
                continue
            made[number] = part
            self._covered[number] = max(self._covered[number], part[1])
            for tensor, tokens in ((name, part), *part_taken(step, part)):
                wanted[tensor] = hull([tokens, wanted.get(tensor, tokens)])
        self._wanted = first_wanted
        return self._in_order(band, made, self._copies(wanted, made))

    def _is_there(self, name: str, wanted: Range | None) -> bool:
        """The band before has made just this, and it stays."""
        is_inner = self._map.is_inner(name, self._first, self._stop) and name not in self._map.in_dram
        return is_inner and wanted == self._wanted.get(name) is not None and self._map.is_made_first(name)

    def _made(self, number: int, band: int, wanted: Range | None) -> Range | None:
        """What a step makes in a band. What is used outside the segment is made without gaps, and to its end."""
        step, covered, last = self._step(number), self._covered[number], band == self._bands - 1
        name = step.target.tensor
        if self._map.is_inner(name, self._first, self._stop):
            return None if wanted is None else part_made(step, wanted)
        start, stop = made_by(step)
        if number == self._stop - 1 or wanted is None:
            row = self._map.rows[name]
            rows = -(-(stop - start) // row)
            edge = min(stop, start + (band + 1) * rows // self._bands * row)
            wanted = hull([(covered, edge), wanted or (covered, edge)])
        if last:
            wanted = hull([wanted, (covered, stop)])
        if name in self._map.in_dram:
            unit = math.lcm(self._map.alignment(name), self._map.rows[name])
            first = min(covered, wanted[0]) // unit * unit
        else:
            first = covered
        return part_made(step, (first, wanted[1])) if wanted[1] > first else None

    def _copies(self, wanted: Mapping[str, Range], made: Mapping[int, Range]) -> dict[str, Copy]:
        """Of all tensors that are in the memory for this band only, or in part."""
        found: dict[str, Copy] = {}
        targets = {self._step(number).target.tensor for number in made}
        for name, tokens in wanted.items():
            if not self._is_copied(name, tokens):
                continue
            unit = self._map.alignment(name) if name in self._map.in_dram else 1
            start, stop = tokens[0] // unit * unit, tokens[1]
            kept = self._kept.get(name)
            if kept is None or name in targets or not kept.tokens[0] <= start < stop <= kept.tokens[1]:
                kept = Copy(name=f"{name}[{start}:{stop}]", tensor=name, tokens=(start, stop))
            found[name] = kept
        return found

    def _is_copied(self, name: str, tokens: Range) -> bool:
        if name in self._map.in_dram:
            return True
        tensor = self._map.tensors[name]
        is_whole = tokens == (0, tensor.tokens) and self._bands == 1
        return not is_whole and (tensor.values is not None or self._map.is_inner(name, self._first, self._stop))

    def _in_order(self, band: int, made: Mapping[int, Range], copies: Mapping[str, Copy]) -> list[Part]:
        numbers = sorted(made)
        writers: dict[str, list[int]] = {}
        for number in numbers:
            writers.setdefault(self._step(number).target.tensor, []).append(number)
        filled = self._filled(made, copies, writers)
        found = []
        for number in numbers:
            step = self._step(number)
            names = dict.fromkeys(block.tensor for block in (*step.sources, step.target))
            fills = tuple(filled.pop(name) for name in names if name in filled)
            target = step.target.tensor
            is_last = target in self._map.in_dram and writers[target][-1] == number
            spills = (copies[target],) if is_last else ()
            own = {name: copies[name] for name in names if name in copies}
            part = Part(step=number, band=band, made=made[number], copies=own, fills=fills, spills=spills)
            found.append(part)
        self._kept = dict(copies)
        return found

    def _filled(
        self, made: Mapping[int, Range], copies: Mapping[str, Copy], writers: Mapping[str, Sequence[int]]
    ) -> dict[str, Copy]:
        """Copies that take from DRAM what this band does not make."""
        found = {}
        for name, copy in copies.items():
            if name not in self._map.in_dram or self._kept.get(name) is copy:
                continue
            own = writers.get(name, [])
            needed = [n for n in self._map.writers.get(name, []) if part_made(self._step(n), copy.tokens) is not None]
            if not own or own != needed or hull(made[n] for n in own) != copy.tokens:
                found[name] = copy
        return found


def copied(tensor: StoredTensor, copy: Copy) -> StoredTensor:
    """The stored tensor that a copy is."""
    start, stop = copy.tokens
    values = None if tensor.values is None else tensor.values[start:stop]
    return StoredTensor(
        name=copy.name, tokens=stop - start, channels=tensor.channels, scale=tensor.scale, values=values
    )
