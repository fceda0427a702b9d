"""Counting of functional bins, from the jobs that ran in scenarios that were right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .bins import Bin, Group
from .bus_log import Job
from .exclusions import read_rules
from .facts import completed, failure

FILE = Path(__file__).with_name("bin_exclusions.toml")
_CROSS = " x "


@dataclass(frozen=True, kw_only=True)
class Played:
    """A scenario that has run, from one cycle to another, and what it found wrong."""

    name: str
    begin: int
    end: int
    problems: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class BinExclusion:
    """Bins of a group that cannot be: those whose values, as in `LOAD x b x waits`, match as a whole."""

    group: str
    bins: re.Pattern[str]
    reason: str

    def covers(self, group: str, values: Bin) -> bool:
        """Whether the bin is one of them."""
        return group == self.group and self.bins.fullmatch(bin_name(values)) is not None


@dataclass(frozen=True, kw_only=True)
class Functional:
    """Functional coverage.

    Attributes:
        counts: how often each bin was hit, by group; excluded ones are not among them.
        excluded: how many bins each rule leaves out.
        jobs: that were counted.
        problems: hits of what is no bin or is excluded, and rules that leave out nothing.
    """

    counts: Mapping[str, Mapping[Bin, int]]
    excluded: Sequence[tuple[BinExclusion, int]]
    jobs: int
    problems: Sequence[str]

    @property
    def bins(self) -> int:
        """All that are not excluded."""
        return sum(len(counts) for counts in self.counts.values())

    @property
    def missed(self) -> list[str]:
        """Bins that were not hit."""
        return [f"{group}: {bin_name(b)}" for group, counts in self.counts.items() for b, n in counts.items() if not n]

    def to_dict(self) -> dict[str, Any]:
        """As coverage.json has it."""
        missed = self.missed
        return {
            "bins": self.bins,
            "hit": self.bins - len(missed),
            "excluded_bins": sum(count for _, count in self.excluded),
            "jobs": self.jobs,
            "groups": {
                group: {"bins": len(counts), "hit": sum(map(bool, counts.values()))}
                for group, counts in self.counts.items()
            },
            "excluded": [{"group": r.group, "bins": count, "reason": r.reason} for r, count in self.excluded],
            "missed": missed,
            "counts": {group: {bin_name(b): n for b, n in counts.items()} for group, counts in self.counts.items()},
        }


def bin_name(values: Bin) -> str:
    """A bin in one text, as exclusions and reports have it."""
    return _CROSS.join(values)


def read_bin_exclusions(path: Path = FILE) -> tuple[BinExclusion, ...]:
    """The rules of a file. Raises ExclusionError for one that is malformed or has no reason, OSError."""

    def exclusion(rule: dict[str, str]) -> BinExclusion:
        return BinExclusion(group=rule["group"], bins=re.compile(rule["bins"]), reason=rule["reason"])

    return read_rules(path, ("group", "bins"), exclusion)


def of_right_scenarios(jobs: Iterable[Job], played: Sequence[Played]) -> list[Job]:
    """Jobs that began in a scenario that was right; both in the order of time."""
    spans = iter(played)
    span = next(spans, None)
    found = []
    for job in jobs:
        while span is not None and job.begin >= span.end:
            span = next(spans, None)
        if span is not None and not span.problems and job.begin >= span.begin:
            found.append(job)
    return found


def hits(groups: Sequence[Group], job: Job) -> list[tuple[str, Bin]]:
    """Bins that a job is in, by their group, each as often as it has a descriptor or error in it."""
    failed = failure(job)
    found = [(group.name, b) for done in completed(job) for group in groups for b in group.of_done(done)]
    return found + [(group.name, b) for group in groups if failed is not None for b in group.of_failed(failed)]


def count(groups: Sequence[Group], jobs: Sequence[Job], rules: Sequence[BinExclusion]) -> Functional:
    """Count the bins of all groups.

    What cannot be must not happen: a hit of a bin that is excluded, or that there is not, is a problem, as is a rule
    that leaves out nothing.
    """
    found = Counter(hit for job in jobs for hit in hits(groups, job))
    bins = {(group.name, b) for group in groups for b in group.bins}
    rule_of = {key: rule for key in sorted(bins) for rule in rules if rule.covers(*key)}
    used = Counter(rule_of.values())
    problems = [f"{group}: {bin_name(b)} was hit and is no bin" for group, b in sorted(found.keys() - bins)]
    problems += [
        f"{group}: {bin_name(b)} was hit and is excluded: {rule_of[group, b].reason}"
        for group, b in sorted(found.keys() & rule_of.keys())
    ]
    problems += [
        f"an exclusion of {rule.bins.pattern} in {rule.group} covers no bin: {rule.reason}"
        for rule in rules
        if not used[rule]
    ]
    return Functional(
        counts={
            group.name: {b: found[group.name, b] for b in group.bins if (group.name, b) not in rule_of}
            for group in groups
        },
        excluded=[(rule, used[rule]) for rule in rules],
        jobs=len(jobs),
        problems=problems,
    )
