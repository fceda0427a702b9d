"""`make bench`: runs the sweep, writes bench.json and the figures, and says which targets are reached."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ssvq.driver import Profile
from ssvq_gen.config import CoreConfig
from ssvq_gen.toolbox import ToolError

from ..job_files import write_json
from ..runner import SimulationError
from ..simulator import BuildError, Simulator, build_simulator
from .checks import Verdict, judge
from .curves import Curve, speed_up_curves
from .measurement import Measurement
from .points import IDEAL_LATENCY, Point, pace, to_json
from .report import tables, verdict_table
from .run import BenchError, Runner
from .sweep import (
    GEMV_JOB,
    JOBS,
    LAYER_JOB,
    NETWORK_JOB,
    RATES,
    WIDE_RATES,
    Networks,
    buses,
    gemv_measurements,
    layer_measurements,
    network_measurements,
)
from .traces import breakdown_table, write_traces

RESULT_FILE = "bench.json"
MAIN_CONFIG, WIDE_CONFIG = "base", "large"
LATENCY_DEFAULT = 100
QUICK_RATES = (1, 8)
QUICK_NETWORK_RATES = (8,)

_TABLE_WIDTH = 170
_EPILOG = """\
Three jobs are measured, each against its roofline, the larger of the array's and the weight stream's cycles:

  gemv       two layers of MiniLM for one token: how much of the bus's peak the core turns into weights
  layer      every matrix product of DeiT-tiny alone, its input on the core and its output staying there; with no
             latency as well, since a job of one descriptor waits for the memory twice
  deit-tiny  all 74 products as one job: "latency" loads an image and gives its logits, "steady" computes on an
             image that is there while the next one is loaded

Every output is compared with the integer reference. Without --config, everything runs on `base`, and deit-tiny at
4 and 8 bytes per cycle on `large` too. The exit code is 1 when a target is missed, 2 when something cannot be run.

examples:
  make bench                                               the whole sweep
  python -m ssvq_sim.bench --quick                         a first impression in a few minutes
  python -m ssvq_sim.bench --only gemv --latency 300       slow memory
  python -m ssvq_sim.bench --config my.toml --only layer   a core of your own
  python -m ssvq_sim.bench --only deit-tiny --bytes-per-cycle 1 2
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line asks for; None is what the sweep has by itself."""

    config: str | None
    only: tuple[str, ...]
    rates: tuple[int, ...] | None
    latency: int
    output: Path
    quick: bool
    trace: bool
    workers: int


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="ssvq_sim.bench", description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("--config", help="preset or TOML file: run on this core only")
    result.add_argument("--only", nargs="+", choices=JOBS, default=JOBS, metavar="JOB", help=f"of {', '.join(JOBS)}")
    result.add_argument(
        "--bytes-per-cycle", nargs="+", type=int, metavar="N", help="bandwidths of the memory (default: 1 2 4 8)"
    )
    result.add_argument(
        "--latency",
        type=int,
        default=LATENCY_DEFAULT,
        help=f"cycles that the memory takes to answer (default: {LATENCY_DEFAULT})",
    )
    result.add_argument("--out", type=Path, default=Path("build"), help="results go to OUT/bench (default: build)")
    result.add_argument("--quick", action="store_true", help="fewer bandwidths, and no second core")
    result.add_argument(
        "--trace",
        action="store_true",
        help="of each deit-tiny job, say where its cycles go and write a trace for ui.perfetto.dev",
    )
    result.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="simulators at a time (default: all cores)"
    )
    return result


def _options(arguments: Sequence[str] | None) -> Options:
    parsed = parser().parse_args(arguments)
    return Options(
        config=parsed.config,
        only=tuple(job for job in JOBS if job in parsed.only),
        rates=tuple(sorted(set(parsed.bytes_per_cycle))) if parsed.bytes_per_cycle else None,
        latency=parsed.latency,
        output=parsed.out / "bench",
        quick=parsed.quick,
        trace=parsed.trace,
        workers=parsed.jobs,
    )


def _plan(options: Options, networks: Networks) -> list[Measurement]:
    """All measurements, in the order of the tables."""
    config = CoreConfig.load(options.config or MAIN_CONFIG)
    rates = options.rates or (QUICK_RATES if options.quick else RATES)
    slow = buses(config, rates, options.latency)
    result: list[Measurement] = []
    if GEMV_JOB in options.only:
        result += gemv_measurements(config, slow)
    if LAYER_JOB in options.only:
        latencies = sorted({IDEAL_LATENCY, options.latency})
        both = [bus for latency in latencies for bus in buses(config, rates, latency)]
        result += layer_measurements(config, both, networks)
    if NETWORK_JOB in options.only:
        whole = options.rates or (QUICK_NETWORK_RATES if options.quick else RATES)
        result += network_measurements(config, buses(config, whole, options.latency), networks)
        if options.config is None and not options.quick:
            wide = CoreConfig.load(WIDE_CONFIG)
            wide_rates = options.rates or WIDE_RATES
            result += network_measurements(wide, buses(wide, wide_rates, options.latency), networks)
    if options.trace:
        result = [replace(m, profiled=m.job == NETWORK_JOB) for m in result]
    if not result:
        raise ValueError(f"the bus of {config.name} moves at most {config.beat_bytes} bytes per cycle")
    return result


def _simulators(configs: Sequence[CoreConfig], console: Console) -> dict[str, Simulator]:
    found = {}
    for config in configs:
        start = time.monotonic()
        with console.status(f"generating and building {config.name} (minutes, the first time)"):
            found[config.name] = build_simulator(config)
        _say(console, f"{config.name}: simulator ready after {time.monotonic() - start:.1f} s")
    return found


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False)


_Profiles = list[tuple[Measurement, Profile]]


def _run(
    measurements: Sequence[Measurement], simulators: Mapping[str, Simulator], workers: int, console: Console
) -> tuple[list[Point], _Profiles]:
    profiles: _Profiles = []
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task("simulate", total=sum(m.expected_cycles for m in measurements))
        points = Runner(
            simulators,
            workers=workers,
            on_step=lambda cycles: progress.advance(task, cycles),
            on_profile=lambda measurement, profile: profiles.append((measurement, profile)),
        ).run(measurements)
    return points, sorted(profiles, key=lambda entry: measurements.index(entry[0]))


def run_bench(options: Options, console: Console) -> list[Verdict]:
    """All steps; the verdicts. Raises whatever a step raises."""
    from .figures import draw  # matplotlib is not there in every installation

    start = time.monotonic()
    with console.status("compressing layers") as status:
        networks = Networks(on_step=lambda name: status.update(f"compressing layers: {name}"))
        measurements = _plan(options, networks)
    _say(console, f"{len(measurements)} points, layers and programs ready after {time.monotonic() - start:.1f} s")
    configs = list({m.config.name: m.config for m in measurements}.values())
    simulators = _simulators(configs, console)
    start = time.monotonic()
    points, profiles = _run(measurements, simulators, options.workers, console)
    seconds, rate = time.monotonic() - start, pace(points) / 1e3
    _say(console, f"simulated in {seconds:.0f} s, at {rate:.0f} kcycles/s in each of {options.workers} simulators")
    curves: list[Curve] = []
    for config in configs:
        if any(m.job == NETWORK_JOB and m.config is config for m in measurements):
            curves += speed_up_curves(config, networks)
    options.output.mkdir(parents=True, exist_ok=True)
    result = options.output / RESULT_FILE
    write_json(result, {**to_json(points), "curves": [curve.to_dict() for curve in curves]})
    files = [result, *draw(points, curves, options.output), *write_traces(profiles, options.output)]
    for entry in profiles:
        console.print(breakdown_table(*entry))
    for table in tables(points):
        console.print(table)
    verdicts = judge(points)
    console.print(verdict_table(verdicts))
    for path in files:
        _say(console, f"written to {path}")
    return verdicts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 for a missed target, 2 when it cannot be run."""
    options = _options(arguments)
    console = Console()
    if console.width < _TABLE_WIDTH:  # a pipe, or a narrow terminal: figures are not cut off
        console = Console(width=_TABLE_WIDTH)
    try:
        verdicts = run_bench(options, console)
    except (BenchError, SimulationError) as error:
        console.print(f"FAIL {error}", markup=False, highlight=False)
        return 1
    except (BuildError, ImportError, ToolError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if any(verdict.failed for verdict in verdicts):
        console.print("FAIL", style="bold red")
        return 1
    console.print("PASS", style="bold green")
    return 0
