"""The command of `make unknowns`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ssvq_gen.toolbox import ToolError

from ..job_files import write_json
from ..simulator import BuildError
from .four_state import FourState, four_state_jobs, run_four_state
from .icarus import missing_icarus
from .run import SEEDS, Report, run_seeds

RESULT_FILE = "unknowns.json"
_WITHOUT = "or leave that half out with --two-state (UNKNOWNS_ARGS=--two-state)"


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Random contents to begin with.")] = SEEDS,
    planted: Annotated[
        int,
        typer.Option(
            min=0,
            help="Seeds of a core without resets, which has to be wrong: it takes another build. With 0, no core with "
            "a mistake is tried in Icarus Verilog either.",
        ),
    ] = 3,
    two_state: Annotated[
        bool, typer.Option("--two-state", help="Leave out the half with unknown values, which needs Icarus Verilog.")
    ] = False,
    output: Annotated[Path, typer.Option(help="Folder of unknowns.json.")] = Path("build/unknowns"),
) -> None:
    """Run jobs on the `tiny` core in Verilog without initial values.

    From random contents of registers and memories (Verilator), outputs have to be exact, and jobs have to take the same
    cycles, for every seed. From unknown contents (Icarus Verilog), outputs have to be exact, and no unknown bit may be
    on an output that is valid. The exit code is 1 otherwise, 2 when something cannot be run.
    """
    console = Console(soft_wrap=True)
    if not two_state and (missing := missing_icarus()):
        console.print(f"error: {missing}, {_WITHOUT}", style="red", markup=False)
        raise typer.Exit(2)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("seeds", total=seeds)
            report = run_seeds(seeds, planted=planted, on_seed=partial(_advance, progress, task))
            four_state = None if two_state else _four_state(progress, planted=planted > 0)
        output.mkdir(parents=True, exist_ok=True)
        found = {**report.to_dict(), "four_state": four_state.to_dict() if four_state else None}
        write_json(output / RESULT_FILE, found)
    except (BuildError, ToolError, OSError) as error:
        console.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(2) from error
    for line in _mistakes(report, four_state):
        console.print(line, style="red", markup=False)
    failed = report.failed or (four_state is not None and four_state.failed)
    console.print(f"{'FAIL' if failed else 'PASS'}: {_summary(report, four_state)}")
    raise typer.Exit(1 if failed else 0)


def _advance(progress: Progress, task: TaskID, done: int) -> None:
    progress.update(task, completed=done)


def _four_state(progress: Progress, *, planted: bool) -> FourState:
    jobs = four_state_jobs()
    task = progress.add_task("jobs with unknown values", total=len(jobs))
    return run_four_state(jobs, planted=planted, on_job=partial(_advance, progress, task))


def _mistakes(report: Report, four_state: FourState | None) -> Iterator[str]:
    for seed, texts in report.problems.items():
        yield f"seed {seed}: {'; '.join(texts)}"
    if report.planted_missed:
        yield f"a core without resets was right with {report.planted_missed} seeds"
    if four_state is not None:
        yield from (f"unknown values: {text}" for text in four_state.problems)
        for name, found in four_state.planted_missed.items():
            yield f"a core in which {name} was not refused for it: {'; '.join(found) or 'it was right'}"


def _summary(report: Report, four_state: FourState | None) -> str:
    random = (
        f"{report.registers} registers without initial values, {report.jobs} jobs, {report.seeds} seeds, "
        f"{len(report.problems)} of them wrong"
    )
    if four_state is None:
        return f"{random}; not tried with unknown values"
    wrong = len(four_state.problems)
    return f"{random}; {four_state.jobs} jobs with unknown values, {four_state.cycles} cycles, {wrong} wrong"
