"""`make cosim`: real layers of real networks on the simulated core, every integer compared with the reference."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ssvq.compile import CompileError, compile_layer
from ssvq.models import MissingPackageError
from ssvq.roofline import Roofline, rooflines
from ssvq_gen.config import ConfigError, CoreConfig
from ssvq_gen.toolbox import ToolError

from .behaviour import Behaviour, JobResult, SimulationJob
from .checker import check_job
from .job_files import write_json
from .real_layers import FORMATS, SENTENCES, CosimCase, make_case, real_layers, runnable
from .runner import SimulationError, run_jobs
from .simulator import BuildError, Simulator, build_simulator

RESULT_FILE = "cosim.json"

_TABLE_WIDTH = 150


class CosimFailed(RuntimeError):
    """A case is not what the reference says; the message says where."""


class _Steps:
    """Seconds by step, printed as they pass."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def report(self, step: str, seconds: float, what: str = "") -> None:
        self._console.print(f"{step:<10} {seconds:7.1f} s  {what}", highlight=False)

    @contextmanager
    def running(self, step: str) -> Iterator[None]:
        with self._console.status(step):
            yield


def _cases(config: CoreConfig, console: Console) -> list[CosimCase]:
    formats = [f.name.lower() for f in config.formats]
    choices = [c for c in FORMATS if runnable(c, formats, config.max_codebook_size, config.max_vector_dim)]
    for left_out in (c for c in FORMATS if c not in choices):
        console.print(f"{config.name} cannot decode {left_out}: left out", highlight=False)
    layers = real_layers()
    cases = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("compress", total=len(layers) * len(choices))
        for layer in layers:
            for choice in choices:
                progress.update(task, description=f"compress {layer.captured.name} {choice}")
                cases.append(make_case(layer, choice))
                progress.advance(task)
    return cases


def _jobs(config: CoreConfig, cases: Sequence[CosimCase], behaviour: Behaviour) -> list[SimulationJob]:
    return [
        SimulationJob(
            name=f"{case.name} {case.choice}",
            program=compile_layer(config, case.layer, case.x.shape[0]),
            inputs={case.layer.name: case.x},
            behaviour=behaviour,
            timeout_cycles=100_000_000,
        )
        for case in cases
    ]


def _simulate(
    simulator: Simulator, cases: Sequence[CosimCase], jobs: Sequence[SimulationJob], folder: Path, console: Console
) -> list[JobResult]:
    """Run and compare; raises CosimFailed at the first case that is wrong."""
    config = simulator.config

    def check(index: int, result: JobResult) -> None:
        progress.advance(task)
        job = jobs[index]
        if result.error:
            raise CosimFailed(f"{job.name}: {result.error.type}: {result.error.message}")
        if result.stray is not None:
            raise CosimFailed(f"{job.name}: the core wrote at offset {result.stray}, where no output is")

        def rerun(probes: Sequence[SimulationJob]) -> list[JobResult]:
            return run_jobs(config, probes, simulator=simulator)

        if mismatch := check_job(config, job, cases[index].layer, result, rerun):
            raise CosimFailed(f"{job.name}: {mismatch}")

    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("simulate", total=len(jobs))
        return run_jobs(config, jobs, folder=folder, simulator=simulator, on_result=check)


def _entry(case: CosimCase, roofline: Roofline, result: JobResult) -> dict[str, Any]:
    return {
        "layer": case.name,
        "format": case.choice.format.value,
        "codebook_size": case.choice.codebook_size,
        "vector_dim": case.choice.vector_dim,
        "weight_bytes": roofline.weight_bytes,
        "bits_per_weight": round(8 * roofline.weight_bytes / case.weight_count, 4),
        "sqnr_db": round(case.sqnr_db, 3),
        "cycles": result.counters["TOTAL_CYCLES"],
        "roofline_cycles": round(roofline.cycles),
        "bit_exact": True,
    }


def _table(config: CoreConfig, cases: Sequence[CosimCase], entries: Sequence[dict[str, Any]], rate: int) -> Table:
    table = Table(title=f"{config.name}: {config.rows}x{config.cols}, {rate} bytes/cycle", title_justify="left")
    table.caption_justify = "left"
    table.caption = (
        f"MiniLM: all tokens of {len(SENTENCES)} sentences; EfficientNet-Lite0: all 14x14 pixels of a photo. Weight "
        "bytes are the stream in DRAM: indices, signs, codebook, biases, multipliers and padding. SQNR is that of the "
        "weights. Cycles and roofline include LOAD and STORE of the activations."
    )
    table.add_column("layer")
    table.add_column("format")
    for name in ("tokens", "weight bytes", "bits/weight", "SQNR dB", "cycles", "roofline", "ratio", "bit-exact"):
        table.add_column(name, justify="right")
    for case, entry in zip(cases, entries, strict=True):
        table.add_row(
            case.name,
            str(case.choice),
            str(case.x.shape[0]),
            str(entry["weight_bytes"]),
            f"{entry['bits_per_weight']:.3f}",
            f"{entry['sqnr_db']:.2f}",
            str(entry["cycles"]),
            str(entry["roofline_cycles"]),
            f"{entry['cycles'] / entry['roofline_cycles']:.3f}",
            "yes" if entry["bit_exact"] else "no",
        )
    return table


def run_cosim(config: CoreConfig, output: Path, *, behaviour: Behaviour, console: Console) -> None:
    """All steps. Raises CosimFailed, and whatever a step raises."""
    steps = _Steps(console)
    folder = output / config.name
    folder.mkdir(parents=True, exist_ok=True)
    with steps.running("generating Verilog and building the simulator"):
        simulator = build_simulator(config)
    size = simulator.verilog.stat().st_size
    steps.report("verilog", simulator.verilog_seconds, f"{size / 1e6:.2f} MB{_cached(simulator.verilog_seconds)}")
    steps.report("build", simulator.build_seconds, f"Verilator and C++{_cached(simulator.build_seconds)}")
    start = time.monotonic()
    cases = _cases(config, console)
    jobs = _jobs(config, cases, behaviour)
    steps.report("compress", time.monotonic() - start, f"{len(cases)} cases, models and compilation included")
    start = time.monotonic()
    results = _simulate(simulator, cases, jobs, folder / "cosim", console)
    seconds, cycles = time.monotonic() - start, sum(r.cycles for r in results)
    pace = cycles / sum(r.wall_seconds for r in results) / 1e3
    steps.report("simulate", seconds, f"{cycles} cycles at {pace:.0f} kcycles/s")
    rate = behaviour.rate(config.beat_bytes)
    lines = [rooflines(config, job.program, rate)[0] for job in jobs]
    entries = [_entry(*parts) for parts in zip(cases, lines, results, strict=True)]
    write_json(folder / RESULT_FILE, {"config": config.name, "cases": entries})
    console.print(_table(config, cases, entries, rate))
    console.print(f"written to {folder / RESULT_FILE}", highlight=False)


def _cached(seconds: float) -> str:
    return "" if seconds else ", from the cache"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="ssvq_sim.cosim", description=__doc__)
    result.add_argument("--config", default="base", help="preset or TOML file (default: base)")
    result.add_argument("--out", type=Path, default=Path("build"), help="folder to write to (default: build)")
    result.add_argument("--latency", type=int, default=0, help="cycles that the memory takes to answer (default: 0)")
    result.add_argument("--bytes-per-cycle", type=int, default=0, help="bytes per cycle, 0 is a beat (default: 0)")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 for a wrong result, 2 when it cannot be run."""
    options = parser().parse_args(arguments)
    console = Console()
    if console.width < _TABLE_WIDTH:  # a pipe, or a narrow terminal: figures are not cut off
        console = Console(width=_TABLE_WIDTH)
    try:
        config = CoreConfig.load(options.config)
        behaviour = Behaviour(latency=options.latency, bytes_per_cycle=options.bytes_per_cycle)
        run_cosim(config, options.out, behaviour=behaviour, console=console)
    except (CosimFailed, CompileError, SimulationError) as error:
        console.print(f"FAIL {error}", markup=False, highlight=False)
        return 1
    except (BuildError, ConfigError, MissingPackageError, ToolError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    console.print("PASS", style="bold green")
    return 0


if __name__ == "__main__":
    sys.exit(main())
