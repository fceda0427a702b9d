"""What a simulator has counted: coverage.dat, as Verilator writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_DUMMY = "dump_module$"
"""Amaranth's emitter reads a register of this name in every block that would read nothing else; it never changes."""
_MEMORY = re.compile(r"\s*reg (signed )?(\[[^\]]*\] )?\S+\s*\[[^\]]*\];")
_FIELD = "__02e|__05b"
"""Before the name of a field, and the number of an element."""
_TEMPORARY = re.compile(r"__024\d+(\[|:|$)")
"""`$12`: what the emitter calls a value that has no name in the sources."""


class Kind(StrEnum):
    """What is counted."""

    LINE = "line"
    BRANCH = "branch"
    TOGGLE = "toggle"


@dataclass(frozen=True, kw_only=True)
class Point:
    """A place that is reached or not.

    Attributes:
        module: in which it is, by its path in the core.
        line: of the Verilog.
        what: the kind of branch; or the signal, its bit and its direction.
        text: the line itself.
        count: how often it was reached.
    """

    kind: Kind
    module: str
    line: int
    what: str
    text: str
    count: int


def read_points(path: Path, verilog: Path) -> list[Point]:
    """Points of a core's Verilog, without those that say nothing: the emitter's dummy register, its temporaries, the
    words of memories, and structures whose fields are signals as well.

    Raises ValueError for a file that is no coverage.dat.
    """
    source = verilog.read_text(encoding="utf-8").splitlines()
    points = list(_points(path, verilog.name, source))
    structures = {
        (point.module, signal[: match.start()])
        for point in points
        if point.kind is Kind.TOGGLE
        for signal in [_signal(point)]
        for match in re.finditer(_FIELD, signal)
    }
    return [p for p in points if p.kind is not Kind.TOGGLE or (p.module, _signal(p)) not in structures]


def _signal(point: Point) -> str:
    """The signal of a toggle, without bit and direction."""
    return re.split(r"[\[:]", point.what, maxsplit=1)[0]


def _points(path: Path, verilog: str, source: Sequence[str]) -> Iterator[Point]:
    dummies = {number for number, line in enumerate(source, start=1) if _DUMMY in line}
    memories = {number for number, line in enumerate(source, start=1) if _MEMORY.match(line)}
    with path.open(encoding="utf-8") as file:
        if not file.readline().startswith("# SystemC::Coverage"):
            raise ValueError(f"{path} must be what a simulator with coverage wrote, and begin with # SystemC::Coverage")
        for text in file:
            point = _point(text, verilog, source)
            if point is None or point.line in dummies:
                continue
            if point.kind is Kind.TOGGLE and (point.line in memories or _TEMPORARY.match(point.what)):
                continue
            yield point


def _point(text: str, verilog: str, source: Sequence[str]) -> Point | None:
    """A line of the file; None for one of another source file."""
    head, _, tail = text[3:].rpartition("' ")
    fields = dict(part.split("\2", 1) for part in head.split("\1") if part)
    if Path(fields["f"]).name != verilog:
        return None
    page, _, module = fields["page"].partition("/")
    line = int(fields["l"])
    return Point(
        kind=Kind(page.removeprefix("v_")),
        module=module,
        line=line,
        what=fields["o"],
        text=source[line - 1].strip(),
        count=int(tail),
    )
