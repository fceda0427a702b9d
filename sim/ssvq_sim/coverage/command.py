"""The command of `make coverage`."""

from __future__ import annotations

import json
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
from .report import LIMITS, Report
from .run import measure

RESULT_FILE = "coverage.json"
_SHOWN = 25


def main(
    output: Annotated[Path, typer.Option(help="Folder of coverage.json.")] = Path("build/coverage"),
) -> None:
    """Count the lines, branches and toggles of the `tiny` core's Verilog that the verification reaches.

    It runs the scenarios that mutants have to get through, all faults that come in a job, and random systems. Points
    that cannot be reached are excluded by `exclusions.toml`, with reasons; a rule that covers nothing is an error. The
    exit code is 1 when a line or branch is not reached, fewer than 95 % of the toggles are, or a scenario fails; 2 when
    something cannot be run.
    """
    console = Console(soft_wrap=True)
    path = output / RESULT_FILE
    key = result_key({})
    if (kept := _kept(path)).get("key") == key and kept.get("passed"):
        console.print(f"PASS: nothing has changed since {path} was written")
        raise typer.Exit(0)
    try:
        report = _measure(console)
    except (ValueError, BuildError, SimulationError, ToolError, OSError) as error:
        console.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(2) from error
    passed = not report.short and not report.problems
    output.mkdir(parents=True, exist_ok=True)
    write_json(path, {**report.to_dict(), "passed": passed, "key": key})
    _show(report, console)
    console.print(f"{'PASS' if passed else 'FAIL'}: {path}")
    raise typer.Exit(0 if passed else 1)


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
    for point in short[:_SHOWN]:
        console.print(
            f"missed: {point.module}, line {point.line}, {point.what}: {point.text}", style="red", markup=False
        )
    if len(short) > _SHOWN:
        console.print(f"... and {len(short) - _SHOWN} more, in {RESULT_FILE}", style="red")
    for problem in report.problems:
        console.print(problem, style="red", markup=False)
