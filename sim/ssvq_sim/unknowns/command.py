"""The command of `make unknowns`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ssvq_gen.toolbox import ToolError

from ..job_files import write_json
from ..simulator import BuildError
from .run import SEEDS, run_seeds

RESULT_FILE = "unknowns.json"


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Random contents to begin with.")] = SEEDS,
    planted: Annotated[
        int, typer.Option(min=0, help="Seeds of a core without resets, which has to be wrong: it takes another build.")
    ] = 3,
    output: Annotated[Path, typer.Option(help="Folder of unknowns.json.")] = Path("build/unknowns"),
) -> None:
    """Run jobs on the `tiny` core in Verilog without initial values, from random contents of registers and memories.

    Outputs have to be exact, and jobs have to take the same cycles, for every seed. The exit code is 1
    otherwise, 2 when something cannot be run.
    """
    console = Console(soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("seeds", total=seeds)
            report = run_seeds(seeds, planted=planted, on_seed=lambda done: progress.update(task, completed=done))
        output.mkdir(parents=True, exist_ok=True)
        write_json(output / RESULT_FILE, report.to_dict())
    except (BuildError, ToolError, OSError) as error:
        console.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(2) from error
    for seed, texts in report.problems.items():
        console.print(f"seed {seed}: {'; '.join(texts)}", style="red", markup=False)
    if report.planted_missed:
        console.print(f"a core without resets was right with {report.planted_missed} seeds", style="red")
    said = "FAIL" if report.failed else "PASS"
    console.print(
        f"{said}: {report.registers} registers without initial values, {report.jobs} jobs, {report.seeds} seeds, "
        f"{len(report.problems)} of them wrong"
    )
    raise typer.Exit(1 if report.failed else 0)
