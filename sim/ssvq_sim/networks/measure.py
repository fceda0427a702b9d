"""One case of a network: compressed, compiled, run on the golden model and on the simulated core."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ssvq.network.compilation import compile_network
from ssvq.network.compression import compress_graph, default_choice
from ssvq.network.integer.input_moments import input_moments
from ssvq.network.program.emission import INPUT, OUTPUT, CompiledNetwork
from ssvq.quantize.layer import CompressedLayer
from ssvq.reference import Int8Array
from ssvq.roofline import roofline_cycles

from ..behaviour import Behaviour, JobResult, SimulationJob
from ..runner import SimulationError, run_jobs
from .run import NetworkRun, Times
from .subject import Case, Sample, Subject

LATENCY = 100
WATCHDOG_CYCLES = 100_000
TIMEOUT_CYCLES = 100_000_000
WALL_SECONDS = 1800.0
"""Of one run."""

Say = Callable[[str, int, int], None]
"""Called with what is being done, how many parts of it are done, and how many there are."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Run:
    """A sample on the golden model.

    Attributes:
        output: real values, (values,).
        stored: int8, as it leaves the core.
    """

    made: CompiledNetwork
    given: Mapping[str, Int8Array]
    output: Tensor
    stored: Int8Array


def measure(subject: Subject, case: Case, say: Say) -> tuple[list[NetworkRun], Times]:
    """Run a case: rows of the simulated core, one for each rate, then of the golden model, one for each metric.

    Raises:
        GraphError: the network does not fit the core.
        SimulationError, BuildError: the simulation fails.
    """
    start = time.monotonic()
    layers = _compressed(subject, case)
    compressed = time.monotonic()
    runs: list[_Run] = []
    compiling = 0.0
    total = len(subject.expected)
    same = True
    for part in subject.parts:
        ranges = part.ranges
        before = time.monotonic()
        made = compile_network(part.graph, ranges, layers, case.config)
        compiling += time.monotonic() - before
        for sample in part.samples:
            runs.append(_reference(made, sample))
            say("golden model", len(runs), total)
        if case.same_as is not None:
            other = compile_network(part.graph, ranges, layers, case.same_as)
            found = [_reference(other, sample) for sample in part.samples]
            same = same and _same(found, runs[-len(found) :])
    referred = time.monotonic()
    rates = [rate for rate in case.rates if rate <= case.config.beat_bytes]
    rows = _simulated(subject, case, runs[: case.simulated], rates, same=same, say=say)
    exact = all(row.bit_exact for row in rows) if rows else None
    rows += [_row(subject, case, runs, rates[-1], metric=number, exact=exact) for number in range(len(subject.metrics))]
    times = Times(
        network=subject.name,
        config=case.config.name,
        weights=rows[-1].weights,
        compress=compressed - start,
        compile=compiling,
        reference=referred - compressed - compiling,
        simulation=time.monotonic() - referred,
    )
    return rows, times


def _same(first: list[_Run], second: list[_Run]) -> bool:
    return all((a.stored == b.stored).all() for a, b in zip(first, second, strict=True))


def _compressed(subject: Subject, case: Case) -> dict[str, CompressedLayer]:
    first = subject.parts[0]
    moments = input_moments(first.graph, first.calibration) if case.weighted else {}
    return compress_graph(first.graph, default_choice(first.graph, case.weights), importance=moments)


def _reference(made: CompiledNetwork, sample: Sample) -> _Run:
    network = made.network
    given = network.quantize_inputs(*(values.numpy() for values in sample.inputs))
    memory = network.run(given)
    name = next(iter(network.outputs))
    view = network.outputs[name]
    return _Run(
        made=made,
        given=given,
        output=torch.from_numpy(network.output(memory, name).reshape(-1)),
        stored=view.transposed(network.output_order(name)).read(memory[view.tensor]).reshape(-1),
    )


def _simulated(
    subject: Subject, case: Case, runs: list[_Run], rates: list[int], *, same: bool, say: Say
) -> list[NetworkRun]:
    """Rows of the simulated core, one for each rate; none without samples, for which no simulator is built."""
    if not runs:
        return []
    plan = list(itertools.product(rates, runs))
    jobs = [_job(f"{subject.name} {case.format} {rate}", run, rate, case.config.beat_bytes) for rate, run in plan]
    say("simulated core", 0, len(jobs))
    results = run_jobs(
        case.config,
        jobs,
        wall_seconds=WALL_SECONDS,
        on_result=lambda index, _result: say("simulated core", index + 1, len(jobs)),
    )
    for result in results:
        if result.error is not None:
            raise SimulationError(f"{subject.name} in {case.format}: {result.error}")
    rows = []
    for rate in rates:
        found = [result for (own, _), result in zip(plan, results, strict=True) if own == rate]
        exact = same and all(_is_exact(run, result) for run, result in zip(runs, found, strict=True))
        rows.append(_row(subject, case, runs, rate, metric=0, exact=exact, results=found))
    return rows


def _job(name: str, run: _Run, rate: int, beat_bytes: int) -> SimulationJob:
    return SimulationJob(
        name=name,
        program=run.made.program,
        inputs={f"{INPUT}{own.name}": run.given[own.tensor] for own in run.made.network.inputs},
        behaviour=Behaviour(latency=LATENCY, bytes_per_cycle=rate if rate < beat_bytes else 0),
        watchdog_cycles=WATCHDOG_CYCLES,
        timeout_cycles=TIMEOUT_CYCLES,
    )


def _is_exact(run: _Run, result: JobResult) -> bool:
    """Whether the outputs are the golden model's, and nothing beside them was written."""
    found = result.outputs[f"{OUTPUT}{next(iter(run.made.network.outputs))}"].reshape(-1)
    return result.stray is None and bool((found == run.stored).all())


def _row(
    subject: Subject,
    case: Case,
    runs: list[_Run],
    rate: int,
    *,
    metric: int,
    exact: bool | None,
    results: list[JobResult] | None = None,
) -> NetworkRun:
    count = len(runs)
    chosen, expected, labels = subject.metrics[metric], subject.expected[:count], subject.labels[:count]
    counters: dict[str, int] = {}
    if results is not None:
        names = [name for name in results[0].counters if name.endswith("_CYCLES")]
        counters = {name: round(float(np.mean([result.counters[name] for result in results]))) for name in names}
    return NetworkRun(
        network=subject.name,
        config=case.config.name,
        format=case.format,
        codebook_size=case.weights.codebook_size,
        vector_dim=case.weights.vector_dim,
        weighted=case.weighted,
        bytes_per_cycle=rate,
        backend="reference" if results is None else "sim",
        samples=count,
        cycles=counters.pop("TOTAL_CYCLES", None),
        roofline_cycles=float(np.mean([roofline_cycles(case.config, run.made.program, rate) for run in runs])),
        cycles_of={name.removesuffix("_CYCLES").lower(): cycles for name, cycles in counters.items()},
        host_operators=subject.host_operators,
        bit_exact=exact,
        metric=chosen.name,
        value=chosen.score(torch.stack([run.output for run in runs]), expected, labels),
        float_value=chosen.score(expected, expected, labels),
    )
