"""The command of `make systems`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ssvq_gen.toolbox import ToolError

from ..job_files import write_json
from ..simulator import BuildError
from .batch import BatchResult, run_systems
from .program_system import system_from_json
from .sweep import Report, Settings, sweep

RESULT_FILE = "systems.json"
_REPLAY = "python -m ssvq_sim.systems --case"


def main(
    cores: Annotated[int, typer.Option(help="Random configurations.")] = Settings.cores,
    cases: Annotated[int, typer.Option(help="Programs of layers or convolutions on each.")] = Settings.cases,
    programs: Annotated[int, typer.Option(help="Programs of all kinds of descriptors on each.")] = Settings.programs,
    seed: Annotated[int, typer.Option(min=0, help="Everything follows from it.")] = Settings.seed,
    jobs: Annotated[int, typer.Option(help="Processes side by side.")] = Settings.jobs,
    output: Annotated[Path, typer.Option(help="Folder of results; a sweep goes on where it stopped.")] = Path(
        "build/systems"
    ),
    case: Annotated[list[str] | None, typer.Option(help="Run just this: the JSON that a failure prints.")] = None,
) -> None:
    """Run random programs on random cores in Verilog, with random memories, and compare every integer.

    The Verilog of every core is linted, too. A failure is printed with the command that runs it again. The exit code is
    1 when something differs or a linter complains, 2 when something cannot be run.
    """
    console = Console(soft_wrap=True)
    try:
        if case:
            found = _replay(case)
        else:
            settings = Settings(cores=cores, cases=cases, programs=programs, seed=seed, output=output, jobs=jobs)
            report = run(settings, console)
            write_json(output / RESULT_FILE, report.to_dict())
            found = report.batches
    except (ValueError, KeyError, BrokenExecutor, BuildError, ToolError, OSError) as error:
        console.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(2) from error
    failed = any(batch.failures or batch.lint for batch in found)
    if case:
        _print(console, found)
    systems = sum(batch.systems for batch in found)
    console.print(f"{'FAIL' if failed else 'PASS'}: {systems} systems on {len(found)} cores")
    raise typer.Exit(1 if failed else 0)


def run(settings: Settings, console: Console) -> Report:
    """Run a sweep with a progress bar and a line for each core. Raises as `sweep`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    batches = []
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("cores", total=settings.cores)
        for batch, before in sweep(settings):
            batches.append(batch)
            _print(progress.console, [batch], before=before)
            progress.advance(task)
    return Report(batches=batches)


def _replay(cases: Sequence[str]) -> list[BatchResult]:
    systems = [system_from_json(text) for text in cases]
    return [run_systems(system.config, [system]) for system in systems]


def _print(console: Console, batches: Sequence[BatchResult], *, before: bool = False) -> None:
    for batch in batches:
        wrong = len(batch.failures)
        result = f"{wrong} of {batch.systems} wrong" if wrong else f"{batch.systems} exact"
        console.print(f"{batch.core}: {result} ({'from before' if before else f'{batch.seconds:.0f} s'})", markup=False)
        for message in batch.lint:
            console.print(f"  lint: {message}", style="red", markup=False)
        for failure in batch.failures:
            for problem in failure.problems:
                console.print(f"  {problem}", style="red", markup=False)
            console.print(f"  again: {_REPLAY} '{failure.system}'", markup=False)
