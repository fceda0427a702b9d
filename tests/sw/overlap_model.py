"""An abstract core that runs descriptors in any order that the rules of overlap allow, word by word.

A word is a tuple of parts, as many as tile columns write to it one by one; a part is a number that depends on all that
was read for it. So a read that comes too early or too late, and a write in the wrong order, change the memory.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ssvq.footprint import is_matrix
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import OPEN_ALL, Opcode

Word = tuple[int, ...]
Step = Callable[[], None]
Fields = Mapping[str, int]

KINDS = ("issue", "load", "store", "feed", "operand", "write")
_ENGINE_HOLDS = 2


@dataclass
class State:
    """Activation memory by word, and DRAM by word."""

    words: list[Word]
    dram: dict[int, Word] = field(default_factory=dict)


@dataclass
class _Matrix:
    """Progress of a matrix descriptor: tiles and columns are (batch, n, k) and (batch, n), tokens the last of each."""

    number: int
    d: Fields
    feeds: list[tuple[int, int, int, int]]
    operands: list[tuple[int, int, int]]
    outputs: list[tuple[int, int, int]]
    seen: dict[tuple[int, ...], int] = field(default_factory=dict)

    @classmethod
    def of(cls, number: int, d: Fields) -> _Matrix:
        batches = range(d.get("batch_last", 0) + 1)
        tiles = [(b, n, k) for b in batches for n in range(d["n_tiles"]) for k in range(d["k_tiles"])]
        return cls(
            number=number,
            d=d,
            feeds=[(*tile, t) for tile in tiles for t in range(d["tokens"])],
            operands=tiles if d["opcode"] == Opcode.PRODUCT else [],
            outputs=[(b, n, t) for b, n, k in tiles if k == 0 for t in range(d["tokens"])],
        )

    def most_written(self) -> bool:
        """All columns but the last are."""
        last = (self.d.get("batch_last", 0), self.d["n_tiles"] - 1)
        return all((b, n) == last for b, n, _ in self.outputs)


class OverlapModel:
    """Runs descriptors with `run`, which may be called once."""

    def __init__(self, config: CoreConfig, descriptors: Sequence[Fields], state: State) -> None:
        self.state = state
        self._config = config
        self._descriptors = descriptors
        self._next = 0
        self._loads: list[tuple[Fields, list[int]]] = []
        self._stores: list[tuple[Fields, list[int]]] = []
        self._matrix: list[_Matrix] = []

    def run(self, choices: random.Random, weights: Mapping[str, float]) -> None:
        """Everything, in an order of `choices`; kinds of steps with a larger weight come sooner."""
        while self._next < len(self._descriptors) or self._loads or self._stores or self._matrix:
            steps = list(self._steps(choices))
            if not steps:
                raise AssertionError(f"nothing can go on before descriptor {self._next}")
            (_, step) = choices.choices(steps, [weights[kind] for kind, _ in steps])[0]
            step()

    def _steps(self, choices: random.Random) -> Iterator[tuple[str, Step]]:
        if self._next < len(self._descriptors) and self._may_begin(self._descriptors[self._next]):
            yield "issue", self._begin
        if self._loads:
            yield "load", partial(self._move, self._loads, choices)
        if self._stores:
            yield "store", partial(self._move, self._stores, choices)
        before: _Matrix | None = None
        for position, matrix in enumerate(self._matrix):
            if matrix.operands and not (before and before.operands) and _is_free(before, matrix, *matrix.operands[0]):
                yield "operand", partial(self._take_operand, matrix)
            if matrix.feeds and not (before and before.feeds):
                tile = matrix.feeds[0][:3]
                is_loaded = not matrix.operands or tile < matrix.operands[0]
                if is_loaded and _is_free(before, matrix, *tile):
                    yield "feed", partial(self._feed, matrix)
            if position == 0 and self._is_summed(matrix):
                yield "write", partial(self._write, matrix)
            before = matrix

    def _may_begin(self, d: Fields) -> bool:
        incomplete = {
            "loads_open": len(self._loads),
            "matmuls_open": len(self._matrix),
            "stores_open": len(self._stores),
        }
        if is_matrix(d) and len(self._matrix) == _ENGINE_HOLDS:
            return False
        return all(d[name] == OPEN_ALL or count <= d[name] for name, count in incomplete.items())

    def _begin(self) -> None:
        d = self._descriptors[self._next]
        if is_matrix(d):
            self._matrix.append(_Matrix.of(self._next, d))
        else:
            queue = self._loads if d["opcode"] == Opcode.LOAD else self._stores
            queue.append((d, list(range(d["dram_bytes"] // self._config.word_bytes))))
        self._next += 1

    def _move(self, queue: list[tuple[Fields, list[int]]], choices: random.Random) -> None:
        """Any word of the first transfer."""
        d, left = queue[0]
        index = left.pop(choices.randrange(len(left)))
        place = d["dram_offset"] // self._config.word_bytes + index
        if d["opcode"] == Opcode.LOAD:
            parts = len(self.state.words[0])
            self.state.words[d["destination"] + index] = self.state.dram.get(place, (place,) * parts)
        else:
            self.state.dram[place] = self.state.words[d["source"] + index]
        if not left:
            queue.pop(0)

    def _take_operand(self, matrix: _Matrix) -> None:
        b, n, k = matrix.operands.pop(0)
        c, d = self._config, matrix.d
        inputs = range(k * c.rows, min((k + 1) * c.rows, (d["k_tiles"] - 1) * c.rows + d["last_rows"]))
        outputs = range(n * c.cols, min((n + 1) * c.cols, (d["n_tiles"] - 1) * c.cols + d["last_columns"]))
        rows, columns = (outputs, inputs) if d["transposed"] else (inputs, outputs)
        base = d["operand"] + b * d["operand_batch_stride"] + columns[0] // c.word_bytes
        matrix.seen[b, n, k] = hash(tuple(self.state.words[base + row * d["operand_stride"]] for row in rows))

    def _feed(self, matrix: _Matrix) -> None:
        b, n, k, t = matrix.feeds.pop(0)
        d = matrix.d
        if d["opcode"] == Opcode.CONV:
            matrix.seen[b, n, k, t] = self.seen_in_window(d, k, t)
            return
        word = d["source"] + b * d.get("input_batch_stride", 0) + t * d["input_stride"]
        word += k * self._config.rows // self._config.word_bytes
        matrix.seen[b, n, k, t] = hash(self.state.words[word])

    def seen_in_window(self, d: Fields, k: int, t: int) -> int:
        """What token t of tile k of a CONV is, 0 outside the image."""
        position, tile = divmod(k, d["channel_tiles"])
        below = t // d["output_width"] * d["stride_y"] + position // d["kernel_width"] * d["dilation_y"]
        right = t % d["output_width"] * d["stride_x"] + position % d["kernel_width"] * d["dilation_x"]
        if not 0 <= d["origin_y"] + below < d["input_height"] or not 0 <= d["origin_x"] + right < d["input_width"]:
            return 0
        word = d["source"] + below * d["row_stride"] + right * d["input_stride"]
        word += tile * self._config.rows // self._config.word_bytes
        return hash(self.state.words[word % (1 << 32)])

    def _is_summed(self, matrix: _Matrix) -> bool:
        b, n, t = matrix.outputs[0]
        return (b, n, matrix.d["k_tiles"] - 1, t) in matrix.seen

    def _write(self, matrix: _Matrix) -> None:
        b, n, t = matrix.outputs.pop(0)
        d = matrix.d
        tiles = [(b, n, k) for k in range(d["k_tiles"])]
        value = hash((matrix.number, b, n, t, *((matrix.seen.get(tile), matrix.seen[*tile, t]) for tile in tiles)))
        parts = self._config.word_bytes // self._config.cols
        word = d["destination"] + b * d.get("output_batch_stride", 0) + t * d["output_stride"] + n // parts
        old = self.state.words[word]
        self.state.words[word] = (*old[: n % parts], value, *old[n % parts + 1 :])
        if not matrix.outputs:
            self._matrix.pop(0)


def _is_free(before: _Matrix | None, matrix: _Matrix, b: int, n: int, k: int) -> bool:
    """May a tile be read, as far as the matrix descriptor before is concerned?"""
    if before is None:
        return True
    return before.most_written() and (b, n) == (0, 0) and k < matrix.d["early_tiles"]


def in_order(descriptors: Sequence[Fields]) -> list[dict[str, int]]:
    """The descriptors without any overlap."""
    fields = ("loads_open", "matmuls_open", "stores_open", "early_tiles")
    return [{**d, **dict.fromkeys(fields, 0)} for d in descriptors]
