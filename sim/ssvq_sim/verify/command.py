"""The command of `make verify`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..job_files import write_json
from .page import write_page
from .part import Outcome, Part, kept_outcome, run_part
from .parts import PARTS
from .report import report

RESULT_FILE = "verify.json"
_LOG_LINES = 15
_NAMES = ", ".join(part.name for part in PARTS)


def main(
    quick: Annotated[bool, typer.Option("--quick", help="A few minutes of it.")] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"Parts: {_NAMES}. All if none.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Parts side by side.")] = 2,
    output: Annotated[Path, typer.Option(help="Folder of verify.json, and of each part.")] = Path("build/verify"),
    write: Annotated[bool, typer.Option("--write", help="Also write docs/verification.md and its figures.")] = False,
) -> None:
    """Run everything that verifies the core and what belongs to it.

    Each part is a command of its own, and most go on where they were interrupted; a part that has passed does not run
    again until a tool changes, or a source that it may depend on. What a part prints is in a log beside verify.json.
    The exit code is 1 when a part fails, 2 for a part that the run does not have.
    """
    console = Console(soft_wrap=True)
    planned = [part for part in PARTS if part.in_quick or not quick]
    names = [part.name for part in planned]
    for name in only or ():
        if name not in names:
            run = "a quick run" if quick else "a run"
            console.print(
                f"error: a part of {run} must be one of {', '.join(names)}, not {name!r}", style="red", markup=False
            )
            raise typer.Exit(2)
    if write and (quick or only):
        console.print("error: --write needs a run of all parts, without --quick and --only", style="red")
        raise typer.Exit(2)
    folder = output / "quick" if quick else output
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    parts = [part for part in planned if not only or part.name in only]
    others = [kept_outcome(part, folder, quick=quick) for part in planned if part not in parts]
    outcomes = [outcome for outcome in others if outcome is not None]
    for outcome in run_parts(parts, folder, quick=quick, jobs=jobs):
        outcomes.append(outcome)
        write_json(folder / RESULT_FILE, report(outcomes, parts=names, quick=quick))
        console.print(_line(outcome), markup=False, highlight=False)
        if not outcome.passed:
            lines = Path(outcome.log).read_text(encoding="utf-8", errors="replace").splitlines()
            console.print("\n".join(f"    {line}" for line in lines[-_LOG_LINES:]), style="red", markup=False)
    console.print(_table(sorted(outcomes, key=lambda outcome: names.index(outcome.name))))
    if write:
        write_page(report(outcomes, parts=names, quick=quick), Path())
    failed = [outcome.name for outcome in outcomes if not outcome.passed]
    verdict = f"FAIL ({', '.join(failed)})" if failed else "PASS"
    console.print(f"{verdict}: {folder / RESULT_FILE}, {time.monotonic() - begin:.0f} s")
    raise typer.Exit(1 if failed else 0)


def run_parts(parts: Sequence[Part], folder: Path, *, quick: bool, jobs: int) -> Iterator[Outcome]:
    """Run parts side by side; yields each outcome as soon as it is there."""
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = [pool.submit(run_part, part, folder, quick=quick) for part in parts]
        for future in as_completed(futures):
            yield future.result()
    finally:
        # An interrupt from the keyboard reaches the commands by itself; those that wait must not begin.
        pool.shutdown(cancel_futures=True)


def _figures(outcome: Outcome) -> str:
    plain = {name: value for name, value in outcome.summary.items() if not isinstance(value, list)}
    return ", ".join(f"{name} {value}" for name, value in plain.items())


def _line(outcome: Outcome) -> str:
    said = "passed" if outcome.passed else "FAILED"
    return f"{outcome.name}: {said}, {_figures(outcome)} ({outcome.seconds:.0f} s)"


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table("part", "result", "figures", title="verify", title_justify="left")
    table.add_column("s", justify="right")
    for outcome in outcomes:
        result = "passed" if outcome.passed else "FAILED"
        table.add_row(outcome.name, result, _figures(outcome), f"{outcome.seconds:.0f}")
    return table
