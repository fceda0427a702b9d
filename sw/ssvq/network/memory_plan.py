"""Where everything is in the activation memory, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """First words by name.

    Attributes:
        lifetimes: what was placed.
        places: first words, in the same order.
        depth: words of the memory.
    """

    lifetimes: tuple[Lifetime, ...]
    places: tuple[int, ...]
    depth: int

    @property
    def words(self) -> int:
        """Words that are ever in use, counted from the first."""
        return max((place + own.words for own, place in zip(self.lifetimes, self.places, strict=True)), default=0)

    def place(self, name: str) -> int:
        """The first word of what has this name; raises KeyError."""
        for own, place in zip(self.lifetimes, self.places, strict=True):
            if own.name == name:
                return place
        raise KeyError(name)

    def used(self, step: int) -> int:
        """Words in use in a step."""
        return sum(own.words for own in self.lifetimes if own.first <= step <= own.last)


def plan_memory(lifetimes: Sequence[Lifetime], depth: int) -> MemoryPlan:
    """Give each the lowest words that are free all the time; the largest are placed first.

    Raises:
        GraphError: something does not find room; it names it, and what is in use at the same time.
    """
    places: dict[int, int] = {}
    for number in sorted(range(len(lifetimes)), key=lambda n: (-lifetimes[n].words, lifetimes[n].first, n)):
        own = lifetimes[number]
        taken = sorted(
            (place, place + lifetimes[other].words) for other, place in places.items() if own.meets(lifetimes[other])
        )
        at = 0
        for start, stop in taken:
            if start - at >= own.words:
                break
            at = max(at, stop)
        if at + own.words > depth:
            rule = f"its {own.words} words do not fit the activation memory of {depth} words"
            raise GraphError(own.name, f"{rule} beside {sum(stop - start for start, stop in taken)} in use")
        places[number] = at
    return MemoryPlan(
        lifetimes=tuple(lifetimes), places=tuple(places[number] for number in range(len(lifetimes))), depth=depth
    )
