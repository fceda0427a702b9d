"""Which weight streams stay in the core's weight cache between their uses, and where. Pure: no files, no device.

A stream that stays from one of its uses to the next saves one fetch of its bytes, and takes its bytes of the cache for
that while. So the shortest stays save most for what they take:

1. Choose stays, shortest first, of equally short ones the largest and then the earliest, as long as the bytes that stay
   at any one time do not exceed the cache.
2. Stays of one stream that follow each other are a lifetime at one place: KEEP at its first use, REUSE at the others.
3. Place lifetimes, longest first, of equally long ones the largest and then the earliest, at the lowest place that is
   free all the time. Where none is free, the lifetime is cut at its longest stay, and the rest of it is placed in turn.

When all streams with several uses fit together, each is fetched once.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DRAM_ALIGNMENT, Residency

CACHE_ALIGNMENT = DRAM_ALIGNMENT
"""Bytes to which a stream's place in the cache is aligned."""


class Placement(NamedTuple):
    """What the descriptor of one use says; `cache_offset` is 0 for NONE."""

    residency: Residency
    cache_offset: int


@dataclass(frozen=True, order=True)
class _Lifetime:
    """Consecutive uses of one stream, in the order in which lifetimes are placed."""

    rank: tuple[int, int, int]
    size: int
    uses: tuple[int, ...]

    @classmethod
    def of(cls, size: int, uses: tuple[int, ...]) -> _Lifetime:
        return cls((uses[0] - uses[-1], -size, uses[0]), size, uses)

    def cut(self) -> list[_Lifetime]:
        """Both sides of the longest stay; a single use is no lifetime."""
        stays = [later - earlier for earlier, later in pairwise(self.uses)]
        at = stays.index(max(stays)) + 1
        return [_Lifetime.of(self.size, part) for part in (self.uses[:at], self.uses[at:]) if len(part) > 1]


def plan_residency(config: CoreConfig, uses: Sequence[tuple[Hashable, int]]) -> tuple[Placement, ...]:
    """The placement of each of `uses`: weight streams in the order in which they run, as (identity, bytes).

    The plan holds for the sequence as a whole: whoever runs a REUSE has to have run the KEEP in front of it, and
    nothing else that keeps streams in between. Raises ValueError for a size below 1 or two sizes of one stream.
    """
    plan = [Placement(Residency.NONE, 0)] * len(uses)
    capacity = config.weight_cache_bytes
    if capacity == 0:
        return tuple(plan)
    for lifetime, offset in _place(_chosen(_uses_of_streams(uses), len(uses), capacity), capacity):
        for position, use in enumerate(lifetime.uses):
            plan[use] = Placement(Residency.REUSE if position else Residency.KEEP, offset)
    return tuple(plan)


def _uses_of_streams(uses: Sequence[tuple[Hashable, int]]) -> list[tuple[int, list[int]]]:
    """Aligned size and uses of each stream."""
    streams: dict[Hashable, tuple[int, list[int]]] = {}
    for index, (stream, size) in enumerate(uses):
        if size < 1:
            raise ValueError(f"a weight stream must have at least 1 byte, not {size}")
        aligned = -(-size // CACHE_ALIGNMENT) * CACHE_ALIGNMENT
        if streams.setdefault(stream, (aligned, []))[0] != aligned:
            raise ValueError(f"uses of weight stream {stream!r} differ in size")
        streams[stream][1].append(index)
    return list(streams.values())


def _chosen(streams: list[tuple[int, list[int]]], use_count: int, capacity: int) -> list[_Lifetime]:
    """Lifetimes that together never exceed the capacity.

    A stay takes the steps from its first use to before its last. Steps decide alone, because each use is of one stream:
    no stream comes while another goes.
    """
    stays = [
        (later - earlier, -size, earlier, later) for size, indices in streams for earlier, later in pairwise(indices)
    ]
    taken = np.zeros(use_count, dtype=np.int64)
    kept = set()
    for _, minus_size, earlier, later in sorted(stays):
        steps = taken[earlier:later]
        if steps.max() - minus_size <= capacity:
            steps -= minus_size
            kept.add(earlier)
    return [_Lifetime.of(size, run) for size, indices in streams for run in _runs(indices, kept) if len(run) > 1]


def _runs(indices: list[int], kept: set[int]) -> Iterable[tuple[int, ...]]:
    """The uses of a stream, divided where it does not stay."""
    run: list[int] = []
    for index in indices:
        run.append(index)
        if index not in kept:
            yield tuple(run)
            run = []


def _place(lifetimes: list[_Lifetime], capacity: int) -> Iterable[tuple[_Lifetime, int]]:
    """Lifetimes, or the parts of them that fit, with the offset of each."""
    heapq.heapify(lifetimes)
    placed = np.empty((4, sum(len(lifetime.uses) for lifetime in lifetimes)), dtype=np.int64)
    count = 0
    while lifetimes:
        lifetime = heapq.heappop(lifetimes)
        first, last = lifetime.uses[0], lifetime.uses[-1]
        begins, ends, offsets, stops = placed[:, :count]
        others = (begins < last) & (first < ends)
        offset = _lowest_free(lifetime.size, sorted(zip(offsets[others].tolist(), stops[others].tolist(), strict=True)))
        if offset + lifetime.size > capacity:
            for part in lifetime.cut():
                heapq.heappush(lifetimes, part)
            continue
        placed[:, count] = first, last, offset, offset + lifetime.size
        count += 1
        yield lifetime, offset


def _lowest_free(size: int, spans: list[tuple[int, int]]) -> int:
    """The lowest offset at which `size` bytes lie outside all of `spans`, which are sorted."""
    offset = 0
    for begin, end in spans:
        if offset + size <= begin:
            break
        offset = max(offset, end)
    return offset
