"""The command of `make gates`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ssvq_gen.command import table_console
from ssvq_gen.toolbox import ToolError

from ..job_files import write_json
from ..runner import SimulationError
from ..simulator import BuildError, Runs, build_simulator
from .families import FAMILIES, Family
from .report import Report, lines_of_missed, results_table
from .run import Settings, run_core, run_family
from .subject import SHALLOW
from .work import Work

RESULT_FILE = "gates.json"


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Families: {', '.join(FAMILIES)}. All if none.")] = None,
    cases: Annotated[int, typer.Option(min=1, help="Programs of layers or convolutions.")] = Work.cases,
    programs: Annotated[int, typer.Option(min=0, help="Programs of all kinds of descriptors.")] = Work.programs,
    seed: Annotated[int, typer.Option(min=0, help="The programs follow from it, and which faults are planted.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Random contents to begin with.")] = Settings.seeds,
    faults: Annotated[
        int, typer.Option(min=0, help="To plant in each netlist; none with 0, which saves a build.")
    ] = Settings.faults,
    output: Annotated[Path, typer.Option(help=f"Folder of {RESULT_FILE}.")] = Path("build/gates"),
) -> None:
    """Run synthesized netlists of a core in the co-simulation, from random contents of registers and memories.

    The core is `tiny` with shallow memories. Yosys makes it of a family's cells, and its models of these are simulated
    in place of the core's Verilog: outputs have to be those of the reference, and cycles, counters, profile and times
    on the bus those of that Verilog, for every seed. Then pins of some cells are inverted, one at a time, all over the
    netlist, which has to be seen. Netlists and simulators are kept in build/cache.

    The exit code is 1 when something differs or too few faults are found, 2 when something cannot be run.
    """
    console = Console(soft_wrap=True)
    work = Work(cases=cases, programs=programs, seed=seed)
    settings = Settings(work=work, seeds=seeds, faults=faults, fault_seed=seed)
    try:
        report = run(chosen(only or list(FAMILIES)), settings, console)
        output.mkdir(parents=True, exist_ok=True)
        write_json(output / RESULT_FILE, report.to_dict())
    except (ValueError, BuildError, SimulationError, ToolError, OSError) as error:
        console.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(2) from error
    table_console().print(results_table(report))
    for result in report.families:
        for line in lines_of_missed(result):
            console.print(line, markup=False)
    for failure in report.failures:
        console.print(failure, style="red", markup=False)
    console.print(f"{'FAIL' if report.failures else 'PASS'}: {output / RESULT_FILE}", markup=False)
    raise typer.Exit(1 if report.failures else 0)


def chosen(names: Sequence[str]) -> list[Family]:
    """Families by name, each once. Raises ValueError for one that is none."""
    for name in names:
        if name not in FAMILIES:
            raise ValueError(f"a family must be one of {', '.join(FAMILIES)}, not {name!r}")
    return [family for name, family in FAMILIES.items() if name in names]


def run(families: Sequence[Family], settings: Settings, console: Console) -> Report:
    """Run families with a progress bar. Raises as `build_simulator`, `run_core` and `run_family`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("the core's own Verilog", total=None)
        facts = run_core(build_simulator(SHALLOW, runs=Runs.FEW), settings.work)
        results = []
        for family in families:
            results.append(
                run_family(family, SHALLOW, facts, settings, show=lambda *s, f=family: _show(progress, task, f, *s))
            )
    return Report(config=SHALLOW, families=results)


def _show(progress: Progress, task: TaskID, family: Family, what: str, done: int, total: int) -> None:
    progress.update(task, description=f"{family.title}: {what}", completed=done, total=total or None)
