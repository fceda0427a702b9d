"""Shares of points that were reached, bins that were hit, and what was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .exclusions import Exclusion, rule_of
from .functional import Functional
from .points import Kind, Point

LIMITS: Mapping[Kind, float] = {Kind.LINE: 1.0, Kind.BRANCH: 1.0, Kind.TOGGLE: 0.95}
"""Least shares."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Coverage of a core.

    Attributes:
        points, reached: by kind; what is excluded is in neither.
        missed: points that were not reached, nor excluded.
        excluded: points by rule.
        functional: bins that were hit.
        problems: of scenarios that failed meanwhile, of rules that cover nothing, and of the bins.
    """

    points: Mapping[Kind, int]
    reached: Mapping[Kind, int]
    missed: Sequence[Point]
    excluded: Sequence[tuple[Exclusion, int]]
    functional: Functional
    problems: Sequence[str]

    def share(self, kind: Kind) -> float:
        """Reached, of all that is not excluded."""
        return self.reached[kind] / self.points[kind] if self.points[kind] else 1.0

    @property
    def short(self) -> list[Kind]:
        """Kinds of which too little is reached."""
        return [kind for kind, least in LIMITS.items() if self.share(kind) < least]

    @property
    def passed(self) -> bool:
        """Enough is reached, every bin was hit, and nothing was wrong."""
        return not (self.short or self.functional.missed or self.problems)

    def to_dict(self) -> dict[str, Any]:
        """As coverage.json has it."""
        return {
            **{kind.value: round(100 * self.share(kind), 3) for kind in Kind},
            "points": {kind.value: self.points[kind] for kind in Kind},
            "excluded_points": {
                kind.value: sum(count for rule, count in self.excluded if rule.kind is kind) for kind in Kind
            },
            "excluded": [
                {"kind": rule.kind.value, "points": count, "reason": rule.reason} for rule, count in self.excluded
            ],
            "functional": self.functional.to_dict(),
            "missed": [f"{p.kind.value} {p.module}:{p.line} {p.what}: {p.text}" for p in self.missed],
            "problems": list(self.problems),
        }


def make_report(
    points: Iterable[Point], rules: Sequence[Exclusion], functional: Functional, problems: Sequence[str]
) -> Report:
    """Count points. A rule that covers nothing that was missed is a problem."""
    total: Counter[Kind] = Counter()
    reached: Counter[Kind] = Counter()
    used: Counter[Exclusion] = Counter()
    missed = []
    for point in points:
        rule = None if point.count else rule_of(point, rules)
        if rule is not None:
            used[rule] += 1
            continue
        total[point.kind] += 1
        if point.count:
            reached[point.kind] += 1
        else:
            missed.append(point)
    unused = [
        f"an exclusion of {rule.kind.value} in {rule.module.pattern} covers nothing that was missed: {rule.reason}"
        for rule in rules
        if not used[rule]
    ]
    return Report(
        points=total,
        reached=reached,
        missed=missed,
        excluded=[(rule, used[rule]) for rule in rules],
        functional=functional,
        problems=[*problems, *unused, *functional.problems],
    )
