"""`make accuracy`: run the sweep, or go on with it, and write the tables and figures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ssvq.accuracy.plan import full_plan, in_order, quick_plan
from ssvq.accuracy.report import write_report
from ssvq.accuracy.store import StoreError
from ssvq.accuracy.sweep import Sweep
from ssvq.accuracy.workers import run_workers

INTERRUPTED, BAD_INPUT = 130, 2


def main(
    quick: Annotated[bool, typer.Option("--quick", help="A few steps of every kind of run; minutes.")] = False,
    work: Annotated[Path, typer.Option(help="Where finished runs and checkpoints are kept.")] = Path("build/accuracy"),
    output: Annotated[Path | None, typer.Option(help="Where tables and figures go.")] = None,
    only: Annotated[str, typer.Option(help="Only rows whose name has this in it, such as 'minilm ssvq'.")] = "",
    reuse: Annotated[Path | None, typer.Option(help="Take finished runs from this runs.jsonl.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Begin no run after that many minutes.")] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Processes side by side; 0 runs nothing, writes what there is.")] = 2,
    worker: Annotated[bool, typer.Option("--worker", hidden=True)] = False,
) -> None:
    """Measure accuracy against bits for all methods. Finished runs are kept; an interrupted sweep goes on."""
    console = Console(soft_wrap=True)
    rows = quick_plan() if quick else full_plan()
    chosen = [(row, run) for row, run in in_order(rows) if only in row.name]
    sweep = Sweep(work=work / "quick" if quick else work, console=console, minutes=minutes)
    output = output or (sweep.work if quick else Path("docs/results"))
    try:
        if not chosen:
            raise ValueError(f"--only must be in the name of a row, such as {rows[0].name!r}, not {only!r}")
        if worker:
            sys.exit(0 if sweep.go(chosen) else INTERRUPTED)
        if reuse is not None:
            console.print(f"{sweep.store.take(reuse)} runs taken from {reuse}")
        code = run_workers(jobs, [*sys.argv[1:], "--worker"]) if jobs else 0
        figures = write_report(output, rows, lambda run: sweep.store.get(run.digest()))
    except (StoreError, ValueError, RuntimeError, OSError) as error:
        console.print(f"error: {error}", style="red")
        raise typer.Exit(BAD_INPUT) from error
    done = sum(sweep.store.get(run.digest()) is not None for _, run in in_order(rows))
    total = sum(len(row.runs) for row in rows)
    console.print(f"{done} of {total} runs are done; {len(figures)} figures are in {output}")
    raise typer.Exit(code)


if __name__ == "__main__":
    typer.run(main)
