"""The command of `make faults`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from ssvq_gen.toolbox import ToolError

from ..job_files import write_json
from ..runner import SimulationError
from ..simulator import BuildError, Simulator, build_simulator
from ..sources import result_key
from ..systems.work import CONFIG
from .campaign import GroupResult, group_names, run_group
from .injection import REPORT_CYCLES, REQUEST_CYCLES

RESULT_FILE = "faults.json"
_SHOWN = 20


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Groups: {', '.join(group_names())}. All if none.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Everything that is random follows from it.")] = 1,
    output: Annotated[Path, typer.Option(help="Folder of results; a campaign goes on where it stopped.")] = Path(
        "build/faults"
    ),
) -> None:
    """Inject faults into jobs of the `tiny` core in Verilog: answers of the bus that are errors, channels that hang,
    descriptors that break a rule or have a bit turned over, resets, and hosts that write while a job runs.

    Each fault has to be reported with its code, descriptor and address, and the job after it has to be exact. The exit
    code is 1 when one is not, 2 when something cannot be run.
    """
    console = Console(soft_wrap=True)
    try:
        results = run(only or list(group_names()), seed=seed, output=output, console=console)
    except (ValueError, BuildError, SimulationError, ToolError, OSError) as error:
        console.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(2) from error
    console.print(_table(results))
    problems = [(result.name, name, texts) for result in results for name, texts in result.problems.items()]
    for group, name, texts in problems[:_SHOWN]:
        console.print(f"{group}, {name}: {'; '.join(texts)}", style="red", markup=False)
    if len(problems) > _SHOWN:
        console.print(f"... and {len(problems) - _SHOWN} more", style="red")
    console.print(f"{'FAIL' if problems else 'PASS'}: {output / RESULT_FILE}")
    raise typer.Exit(1 if problems else 0)


def run(groups: list[str], *, seed: int, output: Path, console: Console) -> list[GroupResult]:
    """Run groups with a progress bar; groups that were right with the same sources, tools and seed are not run again.

    Raises ValueError for a group that is none, BuildError, SimulationError, OSError.
    """
    for name in groups:
        if name not in group_names():
            raise ValueError(f"a group must be one of {', '.join(group_names())}, not {name!r}")
    output.mkdir(parents=True, exist_ok=True)
    simulator = build_simulator(CONFIG)
    results = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        for name, path in _results(groups, seed, output):
            task = progress.add_task(name, total=None)
            if path.is_file():
                results.append(GroupResult(**json.loads(path.read_text(encoding="utf-8"))))
            else:
                results.append(_run(simulator, name, seed, progress, task))
                if not results[-1].problems:
                    write_json(path, results[-1].to_dict())
            progress.remove_task(task)
            progress.console.print(_line(results[-1]), markup=False)
    write_json(output / RESULT_FILE, summary(results))
    return results


def _run(simulator: Simulator, name: str, seed: int, progress: Progress, task: TaskID) -> GroupResult:
    def show(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)

    return run_group(simulator, name, seed=seed, on_fault=show)


def _results(groups: list[str], seed: int, output: Path) -> Iterator[tuple[str, Path]]:
    for name in groups:
        key = result_key(__name__, {"group": name, "seed": str(seed)})
        yield name, output / f"{name.replace(' ', '_')}-{key}.json"


def summary(results: list[GroupResult]) -> dict[str, object]:
    """Sums of all groups, and each of them."""
    sums = {
        name: sum(getattr(result, name) for result in results)
        for name in ("injected", "must_report", "reported", "recovered")
    }
    limits = {"report_cycles": REPORT_CYCLES, "request_cycles": REQUEST_CYCLES}
    return {**sums, **limits, "groups": [result.to_dict() for result in results]}


def _line(result: GroupResult) -> str:
    return (
        f"{result.name}: {result.injected} faults, {result.reported} of {result.must_report} reported, "
        f"{result.recovered} recovered, {len(result.problems)} with problems"
    )


def _table(results: list[GroupResult]) -> Table:
    table = Table("group", title="faults", title_justify="left")
    for name in ("injected", "to report", "reported", "recovered", "problems"):
        table.add_column(name, justify="right")
    for r in results:
        counts = (r.injected, r.must_report, r.reported, r.recovered, len(r.problems))
        table.add_row(r.name, *map(str, counts))
    return table
