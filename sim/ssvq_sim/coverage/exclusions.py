"""Points that nothing can reach, or no simulation in reasonable time, each rule with its reason."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .points import Kind, Point

FILE = Path(__file__).with_name("exclusions.toml")
Rule = TypeVar("Rule")


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

    def exclusion(rule: dict[str, str]) -> Exclusion:
        module, where = (re.compile(rule[name]) for name in ("module", "where"))
        return Exclusion(kind=Kind(rule["kind"]), module=module, where=where, reason=rule["reason"])

    return read_rules(path, ("kind", "module", "where"), exclusion)


def read_rules(path: Path, names: Sequence[str], make: Callable[[dict[str, str]], Rule]) -> tuple[Rule, ...]:
    """What is made of each `[[exclusion]]` of a file, which has values of these names, and a reason.

    Raises ExclusionError for a rule that has others or no reason, or that `make` refuses with a ValueError; OSError.
    """
    try:
        rules = tomllib.loads(path.read_text(encoding="utf-8")).get("exclusion", [])
    except tomllib.TOMLDecodeError as error:
        raise ExclusionError(f"{path}: {error}") from error
    return tuple(_rule(path, names, make, rule) for rule in rules)


def _rule(path: Path, names: Sequence[str], make: Callable[[dict[str, str]], Rule], rule: dict[str, str]) -> Rule:
    if sorted(rule) != sorted([*names, "reason"]) or not rule["reason"].strip():
        raise ExclusionError(f"{path}: an exclusion must have {', '.join(names)} and a reason, not {rule}")
    try:
        return make(rule)
    except (ValueError, re.error) as error:
        raise ExclusionError(f"{path}: {rule}: {error}") from error


def rule_of(point: Point, rules: Sequence[Exclusion]) -> Exclusion | None:
    """The first rule that covers a point."""
    return next((rule for rule in rules if rule.covers(point)), None)
