"""Counts that a core may not exceed: a committed table, what breaks it, and how it is renewed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..files import write_whole
from .report import Report

LIMITS = Path("lint") / "synthesis.json"
LIMITED = ("lut", "lut_ram", "dsp", "block_ram")
TOLERANCE = 0.05
"""A count may grow by this share before it is a fault."""

Limits = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Counts by configuration name, target and resource."""


class LimitsError(ValueError):
    """The table of limits cannot be read; the message names the file and the reason."""


def read_limits(path: Path) -> Limits:
    """The committed table. Raises LimitsError for a file that is missing, is no JSON, or is no such table."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LimitsError(f"{path}: {error}") from error
    if not isinstance(data, dict):
        raise LimitsError(f"{path}: must be an object of configurations, not {type(data).__name__}")
    for config, targets in data.items():
        for target, counts in targets.items() if isinstance(targets, dict) else [("", None)]:
            if not isinstance(counts, dict) or counts.keys() != set(LIMITED):
                raise LimitsError(f"{path}: {config}.{target} must count {', '.join(LIMITED)}")
            for resource, count in counts.items():
                if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                    raise LimitsError(f"{path}: {config}.{target}.{resource} must be a count, not {count!r}")
    return data


def regressions(config: str, reports: Sequence[Report], limits: Limits) -> list[str]:
    """One sentence for every count that is more than `TOLERANCE` above its limit."""
    found = []
    for report in reports:
        for resource, limit in limits.get(config, {}).get(report.target, {}).items():
            count = report.resources[resource]
            if count > limit * (1 + TOLERANCE):
                growth = f"by {count / limit - 1:.1%}" if limit else "from none"
                found.append(
                    f"{report.target}: {resource} grew {growth}, from {limit} to {count}; {TOLERANCE:.0%} is allowed "
                    "(`make synth-limits` renews the table when that is meant)"
                )
    return found


def renewed(config: str, reports: Sequence[Report], limits: Limits) -> dict[str, dict[str, dict[str, int]]]:
    """The table with the counts of these reports in it."""
    table = {name: {t: dict(counts) for t, counts in targets.items()} for name, targets in limits.items()}
    for report in reports:
        table.setdefault(config, {})[report.target] = {kind: report.resources[kind] for kind in LIMITED}
    return table


def write_limits(table: Limits, path: Path) -> None:
    """Write the table."""
    write_whole(path, json.dumps(table, indent=2, sort_keys=True) + "\n")
