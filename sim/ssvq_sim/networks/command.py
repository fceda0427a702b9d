"""The command of `make networks`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ssvq.data.errors import DataFileError
from ssvq.models.packages import MissingPackageError
from ssvq_gen.config import ConfigError, CoreConfig
from ssvq_gen.toolbox import ToolError

from ..job_files import write_json
from ..runner import SimulationError
from ..simulator import BuildError
from .measure import Say, measure
from .run import NetworkRun, Times, missed
from .subject import Case, Subject
from .subjects import LOADERS
from .tables import cycle_table, time_table, value_table

RESULT_FILE = "networks.json"
FORMATS = ("int8", "ssvq")
TABLE_WIDTH = 160
_NETWORKS = "; ".join(f"{name}: {loader.summary}" for name, loader in LOADERS.items())


def main(
    network: Annotated[list[str] | None, typer.Option(help=f"One of: {_NETWORKS}. All if none.")] = None,
    config: Annotated[
        str | None, typer.Option(help="A preset or a TOML file in place of each network's own core.")
    ] = None,
    format: Annotated[list[str] | None, typer.Option(help="int8 or ssvq; both if none.")] = None,
    bytes_per_cycle: Annotated[
        list[int] | None, typer.Option(help="Rates of the bus in place of each network's own.")
    ] = None,
    quick: Annotated[
        bool, typer.Option(help="One sample of each network, and only the small ones on the simulated core.")
    ] = False,
    output: Annotated[Path, typer.Option(help="Folder of networks.json.")] = Path("build/networks"),
) -> None:
    """Run whole networks on the simulated core and on the integer golden model.

    All samples run on the golden model, and some of them entirely in Verilog, where every output is compared. A network
    whose packages are not installed is left out, with what to install, unless it was named.

    The exit code is 1 when an output differs, or when a DeiT-tiny with SSVQ at k=16 and d=8 is not 3.5 times faster
    than with int8 weights at 1 byte per cycle on `base`; 2 when something cannot be run.
    """
    console = Console(soft_wrap=True)
    try:
        core = None if config is None else CoreConfig.load(config)
        _check(network, format, bytes_per_cycle, core)
        runs, times, left_out = _run_all(network, core, format, bytes_per_cycle, quick=quick, output=output)
    except (
        *(ConfigError, ValueError, SimulationError, BuildError, ToolError, OSError),
        *(MissingPackageError, DataFileError),
    ) as error:
        console.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(2) from error
    wide = Console(width=max(console.width, TABLE_WIDTH))
    for table in (cycle_table(runs), value_table(runs), time_table(times)):
        wide.print(table)
    for text in left_out:
        console.print(f"left out: {text}", style="yellow", markup=False)
    wrong = missed(runs)
    for problem in wrong:
        console.print(problem, style="red", markup=False)
    console.print(f"{'FAIL' if wrong else 'PASS'}: {output / RESULT_FILE}")
    raise typer.Exit(1 if wrong else 0)


def _check(
    networks: Sequence[str] | None, formats: Sequence[str] | None, rates: Sequence[int] | None, core: CoreConfig | None
) -> None:
    for name in networks or ():
        if name not in LOADERS:
            raise ConfigError(f"network must be one of {', '.join(LOADERS)}, not {name!r}")
    for name in formats or ():
        if name not in FORMATS:
            raise ConfigError(f"format must be one of {', '.join(FORMATS)}, not {name!r}")
    largest = 64 if core is None else core.beat_bytes
    for rate in rates or ():
        if not 1 <= rate <= largest or rate & (rate - 1):
            raise ConfigError(f"bytes_per_cycle must be a power of two from 1 to {largest}, not {rate}")


def _run_all(
    networks: Sequence[str] | None,
    core: CoreConfig | None,
    formats: Sequence[str] | None,
    rates: Sequence[int] | None,
    *,
    quick: bool,
    output: Path,
) -> tuple[list[NetworkRun], list[Times], list[str]]:
    """All runs, which are written after each case; and which networks were left out, with the reason."""
    runs: list[NetworkRun] = []
    times: list[Times] = []
    left_out: list[str] = []
    cases: list[tuple[Subject, Case]] = []
    with _progress() as (say, console):
        for name in networks or LOADERS:
            say(f"{name}: reading", 0, 1)
            try:
                subjects = LOADERS[name].load(quick=quick)
            except MissingPackageError as error:
                if networks:
                    raise
                left_out.append(f"{name}: {error}")
                continue
            found = [(subject, case) for subject in subjects for case in chosen(subject, core, formats, rates)]
            if networks and not found:
                raise ConfigError(f"{name} has no run of format {' or '.join(formats or ())} with these options")
            cases += found
        for subject, case in cases:
            rows, seconds = measure(subject, case, _of(say, f"{subject.name} {case.format}"))
            runs += rows
            times.append(seconds)
            console.print(_line(rows, seconds), highlight=False, markup=False)
            output.mkdir(parents=True, exist_ok=True)
            write_json(output / RESULT_FILE, {"runs": [asdict(run) for run in runs]})
    return runs, times, left_out


def _line(rows: Sequence[NetworkRun], seconds: Times) -> str:
    """A case in one line, as soon as it is done."""
    own = rows[-1]
    cycles = ", ".join(f"{row.cycles:,} at {row.bytes_per_cycle}" for row in rows if row.cycles is not None)
    values = ", ".join(f"{row.metric} {row.value:.4f}" for row in rows if row.cycles is None)
    spent = seconds.compress + seconds.compile + seconds.reference + seconds.simulation
    simulated = f" cycles {cycles} bytes per cycle;" if cycles else ""
    return f"{own.network}, {own.weights}, on {own.config}:{simulated} {values} ({spent:.0f} s)"


def chosen(
    subject: Subject, core: CoreConfig | None, formats: Sequence[str] | None, rates: Sequence[int] | None
) -> list[Case]:
    """A network's cases, with another core and other rates where these are given.

    Raises ConfigError for rates that the bus of a case's core does not have.
    """
    found = []
    for case in subject.cases:
        if formats and case.format not in formats:
            continue
        own = replace(case, config=core or case.config, rates=tuple(rates or case.rates))
        wrong = [rate for rate in rates or () if rate > own.config.beat_bytes]
        if wrong:
            most = own.config.beat_bytes
            raise ConfigError(f"{own.config.name}: a bus has at most {most} bytes per cycle, not {wrong[0]}")
        found.append(own)
    return found


def _of(say: Say, what: str) -> Say:
    return lambda step, done, total: say(f"{what}: {step}", done, total)


@contextmanager
def _progress() -> Iterator[tuple[Say, Console]]:
    """What shows how far the current case is, and the console for lines above it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(soft_wrap=True), transient=True) as progress:
        task = progress.add_task("")

        def say(text: str, done: int, total: int) -> None:
            progress.update(task, description=text, completed=done, total=total)

        yield say, progress.console
