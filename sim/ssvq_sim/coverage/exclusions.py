"""Points that nothing can reach, or no simulation in reasonable time, each rule with its reason."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .points import Kind, Point

FILE = Path(__file__).with_name("exclusions.toml")


class ExclusionError(ValueError):
    """The file of exclusions breaks a rule; the message names it and the value."""


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """Points of a kind whose module, and whose signal or line of Verilog, match regular expressions as a whole.

    A toggle is matched by its signal, bit and direction, as in `count[31]:0->1`; what is no toggle by its line.
    """

    kind: Kind
    module: re.Pattern[str]
    where: re.Pattern[str]
    reason: str

    def covers(self, point: Point) -> bool:
        """Whether the point is one of them."""
        if point.kind is not self.kind or not self.module.fullmatch(point.module):
            return False
        return self.where.fullmatch(point.what if point.kind is Kind.TOGGLE else point.text) is not None


def read_exclusions(path: Path = FILE) -> tuple[Exclusion, ...]:
    """The rules of a file. Raises ExclusionError for one that is malformed or has no reason, OSError."""
    try:
        rules = tomllib.loads(path.read_text(encoding="utf-8")).get("exclusion", [])
    except tomllib.TOMLDecodeError as error:
        raise ExclusionError(f"{path}: {error}") from error
    return tuple(_exclusion(path, rule) for rule in rules)


def _exclusion(path: Path, rule: dict[str, str]) -> Exclusion:
    if sorted(rule) != ["kind", "module", "reason", "where"] or not rule["reason"].strip():
        raise ExclusionError(f"{path}: an exclusion must have kind, module, where and a reason, not {rule}")
    try:
        return Exclusion(
            kind=Kind(rule["kind"]),
            module=re.compile(rule["module"]),
            where=re.compile(rule["where"]),
            reason=rule["reason"],
        )
    except (ValueError, re.error) as error:
        raise ExclusionError(f"{path}: {rule}: {error}") from error


def rule_of(point: Point, rules: Sequence[Exclusion]) -> Exclusion | None:
    """The first rule that covers a point."""
    return next((rule for rule in rules if rule.covers(point)), None)
