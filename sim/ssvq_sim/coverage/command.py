"""The command of `make coverage`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ssvq_gen.toolbox import ToolError

from ..job_files import write_json
from ..runner import SimulationError
from ..simulator import BuildError
from ..sources import result_key
from .functional import Functional
from .report import LIMITS, Report
from .run import measure

RESULT_FILE = "coverage.json"
_SHOWN = 25


def main(
    output: Annotated[Path, typer.Option(help="Folder of coverage.json.")] = Path("build/coverage"),
) -> None:
    """Count what the verification reaches of the `tiny` core: lines, branches and toggles of its Verilog, and bins.

    It runs the scenarios that mutants have to get through, all faults that come in a job, and random systems. The bins
    of functional coverage are crosses, such as a weight format and how it fills the array, or an error and the channel
    that the core waited for; they are counted from what passed the core's pins. What cannot be reached is excluded by
    `exclusions.toml` and `bin_exclusions.toml`, with reasons; a rule that covers nothing, or a bin that is hit, is an
    error. The exit code is 1 when a line, branch or bin is not reached, fewer than 95 % of the toggles are, or a
    scenario fails; 2 when something cannot be run.
    """
    console = Console(soft_wrap=True)
    path = output / RESULT_FILE
    key = result_key(__name__, {})
    if (kept := _kept(path)).get("key") == key and kept.get("passed"):
        console.print(f"PASS: nothing has changed since {path} was written")
        raise typer.Exit(0)
    try:
        report = _measure(console)
    except (ValueError, BuildError, SimulationError, ToolError, OSError) as error:
        console.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(2) from error
    output.mkdir(parents=True, exist_ok=True)
    write_json(path, {**report.to_dict(), "passed": report.passed, "key": key})
    _show(report, console)
    console.print(f"{'PASS' if report.passed else 'FAIL'}: {path}")
    raise typer.Exit(0 if report.passed else 1)


def _kept(path: Path) -> dict[str, Any]:
    """What a run before has left; nothing when that cannot be read."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data


def _measure(console: Console) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("build", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, description="scenarios", completed=done, total=total)

        return measure(on_progress=show)


def _show(report: Report, console: Console) -> None:
    table = Table("kind", title="coverage", title_justify="left")
    for name in ("points", "reached", "share", "least"):
        table.add_column(name, justify="right")
    for kind, least in LIMITS.items():
        counts = (str(report.points[kind]), str(report.reached[kind]))
        table.add_row(kind.value, *counts, f"{100 * report.share(kind):.2f} %", f"{100 * least:.0f} %")
    console.print(table)
    for rule, count in report.excluded:
        console.print(f"excluded: {count} of {rule.kind.value}: {rule.reason}", markup=False)
    short = [point for point in report.missed if point.kind in report.short]
    _show_missed([f"{point.module}, line {point.line}, {point.what}: {point.text}" for point in short], console)
    _show_functional(report.functional, console)
    for problem in report.problems:
        console.print(problem, style="red", markup=False)


def _show_functional(functional: Functional, console: Console) -> None:
    table = Table("bins", title="functional coverage", title_justify="left")
    for name in ("all", "hit"):
        table.add_column(name, justify="right")
    for group, counts in functional.counts.items():
        table.add_row(group, str(len(counts)), str(sum(map(bool, counts.values()))))
    console.print(table)
    for rule, count in functional.excluded:
        console.print(f"excluded: {count} of {rule.group}: {rule.reason}", markup=False)
    _show_missed(functional.missed, console)


def _show_missed(missed: Sequence[str], console: Console) -> None:
    for text in missed[:_SHOWN]:
        console.print(f"missed: {text}", style="red", markup=False)
    if len(missed) > _SHOWN:
        console.print(f"... and {len(missed) - _SHOWN} more, in {RESULT_FILE}", style="red")
