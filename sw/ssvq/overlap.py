"""How far descriptors may overlap: the open counts and early tiles with which a program gives what it gives in order.

A descriptor is issued after those before it. It may read or write a word only when every earlier one that conflicts
with it there is complete: one that writes what it reads or writes, or reads what it writes. LOADs, STOREs, matrix
descriptors (MATMUL, PRODUCT, CONV) and vector operations each complete in their order, so the last conflicting one of a
class decides, and the open count is the number of those of the class after it.

Between matrix descriptors the engine keeps more order by itself: it holds two, feeds all activations and operands of
one before the first of the next, and writes all outputs of one before the first of the next. So only what the next
one reads and the one before writes matters, and of that only the last tile column (see `_early_tiles`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import FIELD_BY_NAME, MATRIX_OPCODES, OPEN_ALL, VECTOR_OPCODES, Opcode

from . import footprint
from .footprint import Fields, Range, Words

EARLY_ALL: int = FIELD_BY_NAME["early_tiles"].bounds[1]
"""Value of `early_tiles` with which the whole first tile column is early."""
MATRIX_OPEN_MAX = 1
"""Matrix descriptors that are in the engine beside one that is issued."""
_OPEN_FIELDS = ("loads_open", "matmuls_open", "stores_open", "vectors_open")
_LOADS, _MATRIX, _STORES, _VECTORS = range(4)
_CLASS = {
    Opcode.LOAD: _LOADS,
    Opcode.STORE: _STORES,
    **dict.fromkeys(MATRIX_OPCODES, _MATRIX),
    **dict.fromkeys(VECTOR_OPCODES, _VECTORS),
}


class _History:
    """The descriptors of one class so far: the last one, counted from 1, to read and to write each word."""

    def __init__(self, depth: int, size: int) -> None:
        self.count = 0
        self._reader = np.zeros(depth, dtype=np.int64)
        self._writer = np.zeros(depth, dtype=np.int64)
        self._dram_reads = np.zeros((size, 2), dtype=np.int64)
        self._dram_writes = np.zeros((size, 2), dtype=np.int64)

    def add(self, reads: Words, writes: Words, dram_reads: Range, dram_writes: Range) -> None:
        self._dram_reads[self.count], self._dram_writes[self.count] = dram_reads, dram_writes
        self.count += 1
        self._reader[reads] = self.count
        self._writer[writes] = self.count

    def last_conflict(self, reads: Words, writes: Words, dram_reads: Range, dram_writes: Range) -> int:
        """The last descriptor that must be complete before one that reads and writes these, 0 for none."""
        in_words = max(_last(self._writer, reads), _last(self._writer, writes), _last(self._reader, writes))
        if dram_reads == dram_writes:
            return in_words
        earlier_reads, earlier_writes = self._dram_reads[: self.count], self._dram_writes[: self.count]
        meets = _meets(earlier_writes, dram_reads) | _meets(earlier_writes, dram_writes)
        numbers = np.flatnonzero(meets | _meets(earlier_reads, dram_writes)) + 1
        return max(in_words, int(numbers.max(initial=0)))


def schedule(config: CoreConfig, descriptors: Sequence[Fields]) -> list[dict[str, int]]:
    """The descriptors, in program order, with the overlap that changes nothing of what they compute.

    `loads_open`, `matmuls_open`, `stores_open`, `vectors_open` and `early_tiles` are set, all else stays. No
    descriptor may write what it reads itself. Raises ValueError when one reaches outside the activation memory.
    """
    histories = [_History(config.activation_depth, len(descriptors)) for _ in _OPEN_FIELDS]
    previous: Fields | None = None
    result = []
    for index, d in enumerate(descriptors):
        reads, writes = footprint.reads(config, d), footprint.writes(config, d)
        _check_range(config, index, reads, writes)
        touched = (reads, writes, footprint.dram_reads(d), footprint.dram_writes(d))
        scheduled = dict(d)
        for name, history in zip(_OPEN_FIELDS, histories, strict=True):
            last = history.last_conflict(*touched)
            scheduled[name] = min(history.count - last, OPEN_ALL - 1) if last else OPEN_ALL
        scheduled["early_tiles"] = 0
        if footprint.is_matrix(d):
            early = EARLY_ALL if previous is None else _early_tiles(config, previous, d)
            scheduled["early_tiles"] = early
            scheduled["matmuls_open"] = MATRIX_OPEN_MAX if early else 0
            previous = d
        histories[_CLASS[Opcode(d["opcode"])]].add(*touched)
        result.append(scheduled)
    return result


def _early_tiles(config: CoreConfig, before: Fields, d: Fields) -> int:
    """Leading k tiles of the first tile column that need nothing of what the last column of `before` writes.

    All columns of `before` but the last are written when these tiles are fed; everything else of `d` waits until
    `before` is complete. So a first column that is independent as a whole is early whatever the later ones need.
    """
    last = footprint.column_writes(config, before, batch=before.get("batch_last", 0), n=before["n_tiles"] - 1)
    for k in range(d["k_tiles"]):
        if footprint.common(footprint.tile_reads(config, d, batch=0, n=0, k=k), last):
            return k
    return EARLY_ALL


def _last(numbers: Words, words: Words) -> int:
    return int(numbers[words].max(initial=0))


def _meets(ranges: npt.NDArray[np.int64], other: Range) -> npt.NDArray[np.bool_]:
    """Which of the (start, stop) rows have bytes in common with `other`."""
    found: npt.NDArray[np.bool_] = (ranges[:, 0] < other[1]) & (other[0] < ranges[:, 1])
    return found


def _check_range(config: CoreConfig, index: int, *words: Words) -> None:
    last = max(int(part.max(initial=0)) for part in words)
    if last >= config.activation_depth:
        raise ValueError(f"descriptor {index} reaches word {last}, the activation memory has {config.activation_depth}")
