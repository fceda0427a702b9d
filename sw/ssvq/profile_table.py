"""A profile as a table: a line for each descriptor, a column for each class of cycles."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from ssvq_gen.profile import PROFILE_CLASSES

from .driver.profile import Profile

_ARRAY, *_WAITS = PROFILE_CLASSES


def profile_table(profile: Profile) -> Table:
    """Cycles by descriptor: what each cost, how much of that the array was busy, and what else it was.

    `took` is from begin to end, and overlaps with others; `cycles` add up to the total. Classes that never occurred
    have no column.
    """
    classes = [name for name in _WAITS if any(part.get(name) for part in _parts(profile))]
    table = Table(title="Profile", caption=_caption(profile))
    for head in ("", "layer", "opcode"):
        table.add_column(head, overflow="fold")
    for head in ("took", "cycles", "array %", *(_title(name) for name in classes), "share %"):
        table.add_column(head, justify="right")
    for row in profile.rows:
        cells = _cells(row.classes, classes, profile.total) if row.is_matrix else [""] * (len(classes) + 3)
        table.add_row(str(row.index), row.job or "", row.opcode.name, str(row.end - row.begin), *cells)
    table.add_section()
    table.add_row("", "tail", "", "", *_cells(profile.tail, classes, profile.total))
    sums = {name: sum(part.get(name, 0) for part in _parts(profile)) for name in PROFILE_CLASSES}
    table.add_row("", "total", "", str(profile.total), *_cells(sums, classes, profile.total))
    return table


def _parts(profile: Profile) -> list[Mapping[str, int]]:
    return [*(row.classes for row in profile.rows), profile.tail]


def _cells(cycles: Mapping[str, int], classes: list[str], total: int) -> list[str]:
    cost = sum(cycles.values())
    waits = [str(cycles[name]) if cycles[name] else "" for name in classes]
    return [str(cost), _percent(cycles[_ARRAY], cost), *waits, _percent(cost, total)]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else ""


def _title(name: str) -> str:
    return name.removesuffix("_CYCLES").removeprefix("WAIT_").lower()


def _caption(profile: Profile) -> str | None:
    if not profile.left_out:
        return None
    return f"{profile.left_out} descriptors are beyond the core's profile_depth: they are in the tail"
