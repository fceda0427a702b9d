"""A network's steps by the tensors that they write and read."""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ssvq.network.integer.integer_network import IntegerNetwork
from ssvq.network.tiling.token_ranges import TokenRanges, row_tokens
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DRAM_ALIGNMENT


class StepMap:
    """Steps, and what is where.

    Attributes:
        steps: with what their parts make and take.
        rows: activations of a row of each tensor.
        words: of an activation of each tensor.
        alignments: activations of each tensor at multiples of which a transfer may begin.
        writers: steps that write a tensor, by its name.
        read: first step that reads a tensor.
        written: first step that writes a tensor, -1 for an input.
        used: last step that reads or writes it; an output is used after all steps.
    """

    def __init__(self, network: IntegerNetwork, config: CoreConfig) -> None:
        self.network, self.config, self.tensors = network, config, network.tensors
        self.steps = [TokenRanges(step) for step in network.steps]
        self.rows = row_tokens(self.steps)
        self.words = {name: -(-own.channels // config.word_bytes) for name, own in network.tensors.items()}
        sizes = {name: words * config.word_bytes for name, words in self.words.items()}
        self.alignments = {name: math.lcm(size, DRAM_ALIGNMENT) // size for name, size in sizes.items()}
        self.writers: dict[str, list[int]] = {}
        self.read: dict[str, int] = {}
        self.used = {view.tensor: len(self.steps) for view in network.outputs.values()}
        for number, ranges in enumerate(self.steps):
            self.writers.setdefault(ranges.target, []).append(number)
            for block in ranges.step.sources:
                self.read.setdefault(block.tensor, number)
            for name in ranges.names:
                self.used[name] = max(self.used.get(name, 0), number)
        self.written = {name: numbers[0] for name, numbers in self.writers.items()}
        self.written |= {own.tensor: -1 for own in network.inputs}

    def tensor_words(self, name: str) -> int:
        """Words of a tensor."""
        return self.tensors[name].tokens * self.words[name]

    def is_inner(self, name: str, first: int, stop: int) -> bool:
        """Nothing before or after these steps writes or reads a tensor."""
        return first <= self.written.get(name, -1) and self.used[name] < stop

    def is_made_first(self, name: str) -> bool:
        """All of a tensor is written before some of it is read."""
        return self.writers[name][-1] < self.read.get(name, len(self.steps))

    def band_rows(self, number: int) -> int:
        """Rows of a step's target: most bands that it may be done in."""
        ranges = self.steps[number]
        return -(-(ranges.made[1] - ranges.made[0]) // self.rows[ranges.target])

    @cached_property
    def _lives(self) -> npt.NDArray[np.int64]:
        """When each tensor is written first and used last, and its words."""
        rows = [(written, self.used.get(name, -1), self.tensor_words(name)) for name, written in self.written.items()]
        return np.array(rows, dtype=np.int64).reshape(-1, 3)

    def passing(self, first: int, stop: int, in_dram: Collection[str]) -> int:
        """Words of what is there before some steps and used after them only."""
        written, used, words = self._lives.T
        total = int(words[(written < first) & (used >= stop)].sum())
        names = {name for ranges in self.steps[first:stop] for name in ranges.names}
        left_out = (name for name in names.union(in_dram) if self._passes(name, first, stop))
        return total - sum(self.tensor_words(name) for name in left_out)

    def _passes(self, name: str, first: int, stop: int) -> bool:
        return self.written.get(name, first) < first and self.used.get(name, -1) >= stop
