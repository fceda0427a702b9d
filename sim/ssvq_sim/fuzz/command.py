"""The command of `make fuzz`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ssvq.files import write_atomically
from ssvq_gen.command import reports_errors, table_console
from ssvq_gen.config import ConfigError

from .execution import Judge
from .process import WorkerError
from .progress_file import Done
from .run import EXAMPLES, EXECUTIONS, JOBS, SECONDS, Report, Settings, fuzz
from .scratch import folder as scratch_folder
from .target import TARGET_NAMES, find_target

RESULT_FILE = "fuzz.json"
SHOWN = 10
"""Findings of a target that are printed."""
QUICK_EXAMPLES, QUICK_SECONDS = 1300, 13.0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    names = ", ".join(TARGET_NAMES)
    result = argparse.ArgumentParser(
        prog="ssvq_sim.fuzz",
        description="Give damaged files to everything that reads files from elsewhere. No input may crash a reader, "
        "keep it busy, take more memory than four times its size and a constant, run code or write files; a refusal "
        "must be the reader's documented error, and what is taken must come back when it is written and read again. "
        "fuzz.json in the output folder has the counts and, for each finding, the command that shows it again. What "
        "was done counts when the command is given again, as long as the sources are the same.",
        epilog="The exit code is 1 when something was found, 2 when an argument is wrong or a target cannot be read.",
    )
    result.add_argument("--only", nargs="+", metavar="TARGET", help=f"readers (default: all): {names}")
    result.add_argument("--quick", action="store_true", help=f"{QUICK_EXAMPLES} examples and {QUICK_SECONDS:.0f} s")
    result.add_argument("--examples", type=int, help=f"structured inputs, all together (default: {EXAMPLES})")
    result.add_argument("--executions", type=int, help=f"guided executions, all together (default: {EXECUTIONS})")
    result.add_argument("--seconds", type=float, help=f"or this processor time for them (default: {SECONDS:.0f})")
    result.add_argument("--jobs", type=int, default=JOBS, help=f"readers at a time (default: {JOBS})")
    result.add_argument("--output", type=Path, default=Path("build/fuzz"), help="folder (default: build/fuzz)")
    result.add_argument("--replay", type=Path, metavar="FILE", help="read this one input of the one target of --only")
    return result


def settings_of(options: argparse.Namespace) -> Settings:
    """Raises ConfigError for a target that there is none of, or an amount below zero."""
    for name in options.only or ():
        if name not in TARGET_NAMES:
            raise ConfigError(f"a target must be one of {', '.join(TARGET_NAMES)}, not {name!r}")
    if options.jobs < 1:
        raise ConfigError(f"--jobs must be 1 or more, not {options.jobs}")
    targets = tuple(dict.fromkeys(options.only or TARGET_NAMES))
    settings = Settings(output=options.output, targets=targets, jobs=options.jobs)
    if options.quick:
        settings = replace(settings, examples=QUICK_EXAMPLES, seconds=QUICK_SECONDS)
    for name in ("examples", "executions", "seconds"):
        if (value := getattr(options, name)) is not None:
            if value < 0:
                raise ConfigError(f"--{name} must be 0 or more, not {value}")
            settings = replace(settings, **{name: value})
    return settings


def _run(settings: Settings) -> Report:
    """With a bar for each target on a terminal."""
    columns = (TextColumn("{task.description:12}"), BarColumn(), TextColumn("{task.fields[text]}"), TimeElapsedColumn())
    count = len(settings.targets)
    total = settings.examples / count + settings.seconds / count * 100
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks = {name: progress.add_task(name, total=total, text="", start=False) for name in settings.targets}

        def show(name: str, done: Done) -> None:
            progress.start_task(tasks[name])
            text = f"{done.examples} examples, {done.executions} executions in {done.seconds:.0f} s"
            progress.update(tasks[name], completed=min(total, done.examples + done.seconds * 100), text=text)

        return fuzz(settings, show)


def results_table(report: Report) -> Table:
    """A line for each target."""
    table = Table("target", title="fuzz", title_justify="left")
    for head in ("examples", "executions", "CPU s", "findings"):
        table.add_column(head, justify="right")
    for target in report.targets:
        found = str(len(target.findings)) + ("" if target.complete else ", given up")
        table.add_row(
            target.name, str(target.done.examples), str(target.done.executions), f"{target.done.seconds:.0f}", found
        )
    return table


def _replay(options: argparse.Namespace) -> int:
    if len(options.only or ()) != 1:
        raise ConfigError("--replay must have one target with --only")
    judge = Judge(find_target(options.only[0]), scratch_folder())
    judge.warm_up()
    finding = judge.finding(options.replay.read_bytes())
    print("nothing is wrong" if finding is None else f"{finding.kind}: {finding.text}\n  at {finding.place}")
    return 0 if finding is None else 1


@reports_errors(WorkerError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when something was found, 2 for bad input."""
    options = parser().parse_args(arguments)
    settings = settings_of(options)
    if options.replay is not None:
        return _replay(options)
    report = _run(settings)
    options.output.mkdir(parents=True, exist_ok=True)
    write_atomically(options.output / RESULT_FILE, json.dumps(report.to_dict(), indent=1).encode() + b"\n")
    table_console().print(results_table(report))
    for target in report.targets:
        for saved in target.findings[:SHOWN]:
            print(f"FOUND in {target.name}: {saved.finding.kind}: {saved.finding.text}", file=sys.stderr)
            print(f"  {saved.replay_command(target.name)}", file=sys.stderr)
        if len(target.findings) > SHOWN:
            print(f"{len(target.findings) - SHOWN} more in {target.name}, see {RESULT_FILE}", file=sys.stderr)
    return 1 if report.crashes else 0
