"""`make accuracy`: run the sweep, or go on with it, and write the tables and figures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ssvq.accuracy.execute import InterruptedRunError, discard, execute, keep_weights
from ssvq.accuracy.plan import full_plan, in_order, quick_plan
from ssvq.accuracy.report import write_report
from ssvq.accuracy.store import Store, StoreError
from ssvq.accuracy.study import Row, Run
from ssvq.train.interrupt import Interrupt
from ssvq.train.processes import Processes

ROW_SECONDS_MAX = 25 * 60
"""No run should take longer on two cores; the command says so of one that does."""


def main(
    quick: Annotated[bool, typer.Option("--quick", help="A few steps of every kind of run; minutes.")] = False,
    work: Annotated[Path, typer.Option(help="Where finished runs and checkpoints are kept.")] = Path("build/accuracy"),
    output: Annotated[Path | None, typer.Option(help="Where tables and figures go.")] = None,
    only: Annotated[str, typer.Option(help="Only rows whose name has this in it, such as 'minilm ssvq'.")] = "",
    reuse: Annotated[Path | None, typer.Option(help="Take finished runs from this runs.jsonl.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Begin no run after that many minutes.")] = None,
    report_only: Annotated[bool, typer.Option("--report-only", help="Run nothing, write what there is.")] = False,
) -> None:
    """Measure accuracy against bits for all methods. Finished runs are kept; an interrupted sweep goes on."""
    work = work / "quick" if quick else work
    output = output or (work if quick else Path("docs/results"))
    console = Console()
    rows = quick_plan() if quick else full_plan()
    store = Store(work / "runs")
    try:
        if reuse is not None:
            console.print(f"{store.take(reuse)} runs taken from {reuse}")
        complete = report_only or _run_all(rows, only, store, work, console, minutes)
        figures = write_report(output, rows, lambda run: store.get(run.digest()))
    except (StoreError, OSError) as error:
        console.print(f"error: {error}", style="red")
        raise typer.Exit(2) from error
    console.print(f"{len(figures)} figures are in {output}")
    if not complete:
        raise typer.Exit(130)


def _run_all(rows: Sequence[Row], only: str, store: Store, work: Path, console: Console, minutes: float | None) -> bool:
    """Run what is missing; False when stopped by a signal."""
    chosen = [(row, run) for row, run in in_order(rows) if only in row.name]
    if not chosen:
        raise StoreError(f"--only must be in the name of a row, such as {rows[0].name!r}, not {only!r}")
    begin = time.perf_counter()
    processes = Processes.start()
    with Interrupt() as interrupt:
        for number, (row, run) in enumerate(chosen, start=1):
            if minutes is not None and time.perf_counter() - begin > 60 * minutes:
                console.print(f"{minutes:g} minutes are over; call again to go on")
                return True
            needed = [start for start in (run.checkpoint, run) if start is not None]
            for part in needed:
                if store.get(part.digest()) is None or (part is not run and not _weights(work, part).exists()):
                    console.print(f"[{number}/{len(chosen)}] {row.name}, seed {part.table['training']['seed']}")
                    try:
                        _run_one(part, store, work, processes, console, interrupt)
                    except InterruptedRunError:
                        console.print("stopped; call again to go on")
                        return False
    return True


def _run_one(run: Run, store: Store, work: Path, processes: Processes, console: Console, interrupt: Interrupt) -> None:
    folder = work / "training" / run.digest()
    start = None if run.checkpoint is None else _weights(work, run.checkpoint)
    outcome = execute(
        run, work=folder, checkpoint=start, processes=processes, console=Console(stderr=True), interrupt=interrupt
    )
    if not run.table.get("rules") and run.family.startswith("fashion"):
        keep_weights(folder, _weights(work, run))
    store.put(outcome)
    discard(folder)
    shown = ", ".join(f"{name} {value:.4f}" for name, value in outcome.metrics.items())
    console.print(f"    {outcome.bits_per_weight:.3f} bits, {shown} ({outcome.seconds:.0f} s)")
    if outcome.seconds > ROW_SECONDS_MAX:
        console.print(f"    longer than the {ROW_SECONDS_MAX // 60} minutes that a run should take", style="yellow")


def _weights(work: Path, run: Run) -> Path:
    """Where the weights of a float run are kept."""
    return work / "checkpoints" / f"{run.digest()}.safetensors"


if __name__ == "__main__":
    typer.run(main)
