"""Where everything is in the activation memory, and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ssvq.network.errors import GraphError


@dataclass(frozen=True, kw_only=True)
class Lifetime:
    """Words that are in use from one step to another, both included.

    Attributes:
        name: of a stored tensor, or of the parameters or table of a step.
        words: how many.
        first, last: steps.
    """

    name: str
    words: int
    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        """Both are in use in some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """Where everything is.

    Attributes:
        lifetimes: what was placed.
        places: first words, by name.
        depth: words of the memory.
    """

    lifetimes: tuple[Lifetime, ...]
    places: Mapping[str, int]
    depth: int

    @property
    def words(self) -> int:
        """Words that are ever in use, counted from the first."""
        return max((self.places[own.name] + own.words for own in self.lifetimes), default=0)


_ORDERS: tuple[Callable[[Lifetime], tuple[int, int]], ...] = (
    lambda one: (-one.words, one.first),
    lambda one: (-one.words * (1 + one.last - one.first), one.first),
    lambda one: (one.first, -one.words),
    lambda one: (one.first - one.last, -one.words),
)
"""In which things are placed: the largest first; if that leaves something without room, those that take most words for
most steps, the earliest, the longest."""


def plan_memory(lifetimes: Sequence[Lifetime], depth: int) -> MemoryPlan:
    """Give each the lowest words that are free all the time; the largest are placed first, where that works.

    Raises:
        GraphError: something does not find room, or two have one name; it names it, and what is in use beside it.
    """
    errors = []
    for order in _ORDERS:
        try:
            places = _placed(sorted(lifetimes, key=lambda one: (*order(one), one.name)), depth)
        except GraphError as error:
            errors.append(error)
        else:
            return MemoryPlan(lifetimes=tuple(lifetimes), places=MappingProxyType(places), depth=depth)
    raise errors[0]


def _placed(lifetimes: Sequence[Lifetime], depth: int) -> dict[str, int]:
    """First words, given in this order."""
    places: dict[str, int] = {}
    spans = np.array([(own.first, own.last) for own in lifetimes], dtype=np.int64).reshape(-1, 2)
    words = np.zeros((len(lifetimes), 2), dtype=np.int64)  # first one, and the one after the last
    for number, own in enumerate(lifetimes):
        if own.name in places:
            raise GraphError(own.name, "two things in the activation memory have this name")
        meets = (spans[:number, 0] <= own.last) & (own.first <= spans[:number, 1])
        taken: list[tuple[int, int]] = sorted(map(tuple, words[:number][meets].tolist()))
        at = 0
        for start, stop in taken:
            if start - at >= own.words:
                break
            at = max(at, stop)
        if at + own.words > depth:
            rule = f"its {own.words} words do not fit the activation memory of {depth} words"
            raise GraphError(own.name, f"{rule} beside {sum(stop - start for start, stop in taken)} in use")
        places[own.name] = at
        words[number] = at, at + own.words
    return places
