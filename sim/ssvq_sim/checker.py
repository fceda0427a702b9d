"""Comparing a core's outputs with the reference, and finding the earliest stage that differs.

When an output differs, the same program runs again on the same core, with changed numbers at the same places in DRAM:

* decoded weights: one-hot activations, and requantization parameters that are the identity, so that the output is
  the weight; all-zero activations first, whose output is zero unless the accumulators are at fault;
* accumulators: the same activations, and a bias that is minus the accumulator expected for the token, so that the
  output is the deviation. A few runs with falling multipliers give all of its 32 bits. Biases of 32 bits are needed:
  a layer with narrow ones is read from longer weight streams, put behind the others.

What the weight stream holds otherwise, the bus's behaviour and all else in the descriptors stay as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from ssvq.integer_layer import IntegerLayer
from ssvq.program import Program
from ssvq.reference import Int8Array, Int64Array, Trace
from ssvq_gen.arithmetic import MIN_SHIFT
from ssvq_gen.config import CoreConfig

from .behaviour import JobResult, SimulationJob
from .probe import ProbeFailed, probe_program

Run = Callable[[Sequence[SimulationJob]], Sequence[JobResult]]
"""Runs jobs on the core in question, in order."""

_EXPONENTS = (15, 12, 6, 0)
"""Of the multipliers 2**-exponent with which a deviation is read, coarse to fine."""
_UNIT_MANTISSA = 1 << MIN_SHIFT


class Stage(StrEnum):
    """Where a result goes through, in order."""

    WEIGHT = "decoded weight"
    ACCUMULATOR = "accumulator"
    OUTPUT = "requantized output"


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """The first wrong output of a layer, and the earliest stage at which it goes wrong.

    count : wrong outputs
    token, channel : of the first wrong output; n_tile and column are the channel's place in the array
    k_tile, row : of the first wrong weight, if the weights are wrong
    expected, actual : at the stage
    note : a sentence when the stage was not seen to be wrong again
    """

    layer: str
    count: int
    token: int
    channel: int
    n_tile: int
    column: int
    k_tile: int | None = None
    row: int | None = None
    stage: Stage
    expected: int
    actual: int
    note: str = ""

    def __str__(self) -> str:
        tile = f"tile (n={self.n_tile}, k={'all' if self.k_tile is None else self.k_tile})"
        place = f"column {self.column}" if self.row is None else f"row {self.row}, column {self.column}"
        text = (
            f"layer {self.layer!r}: {self.stage.value} differs in {tile}, {place}, token {self.token}: "
            f"expected {self.expected}, actual {self.actual}; {self.count} outputs differ, first is "
            f"token {self.token}, channel {self.channel}"
        )
        return f"{text}; {self.note}" if self.note else text


def first_difference(expected: Int8Array, actual: Int8Array) -> tuple[int, int] | None:
    """(token, channel) of the first output that differs. Raises ValueError for different shapes."""
    if expected.shape != actual.shape:
        raise ValueError(f"the outputs must have shape {expected.shape}, not {actual.shape}")
    different = np.argwhere(expected != actual)
    return (int(different[0, 0]), int(different[0, 1])) if different.size else None


def check_job(
    config: CoreConfig, job: SimulationJob, layer: IntegerLayer, result: JobResult, run: Run | None = None
) -> Mismatch | None:
    """None when the outputs of a layer are right bit for bit; otherwise what is wrong, examined with `run`."""
    x = job.inputs[layer.name]
    trace = layer.reference(x)
    actual = result.outputs[layer.name]
    first = first_difference(trace.output, actual)
    if first is None:
        return None
    token, channel = first
    found = Mismatch(
        layer=layer.name,
        count=int((trace.output != actual).sum()),
        token=token,
        channel=channel,
        n_tile=channel // config.cols,
        column=channel % config.cols,
        stage=Stage.OUTPUT,
        expected=int(trace.output[first]),
        actual=int(actual[first]),
    )
    if run is None:
        return found
    try:
        return _earliest(config, job, layer, trace, found, run)
    except ProbeFailed as error:
        return replace(found, note=str(error))


def _earliest(
    config: CoreConfig, job: SimulationJob, layer: IntegerLayer, trace: Trace, found: Mismatch, run: Run
) -> Mismatch:
    nothing = read_nothing(config, job, layer, run)[found.channel]
    if nothing:
        note = "with all activations zero"
        return replace(found, stage=Stage.ACCUMULATOR, expected=0, actual=int(nothing), note=note)
    weights = read_weights(config, job, layer, run)[found.channel]
    wrong = np.flatnonzero(weights != layer.weight[found.channel])
    if wrong.size:
        k = int(wrong[0])
        return replace(
            found,
            stage=Stage.WEIGHT,
            k_tile=k // config.rows,
            row=k % config.rows,
            expected=int(layer.weight[found.channel, k]),
            actual=int(weights[k]),
        )
    accumulator = int(trace.accumulator[found.token, found.channel])
    actual = int(read_accumulators(config, job, layer, found.token, trace, run)[found.channel])
    if actual != accumulator:
        return replace(found, stage=Stage.ACCUMULATOR, expected=accumulator, actual=actual)
    (again,) = run([replace(job, name="again")])
    repeated = not again.error and int(again.outputs[layer.name][found.token, found.channel]) == found.actual
    note = "" if repeated else "it does not happen again when the job is repeated: suspect timing or earlier jobs"
    return replace(found, note=note)


def _outputs(results: Sequence[JobResult], layer: IntegerLayer) -> list[Int64Array]:
    for result in results:
        if result.error:
            raise ProbeFailed(f"the stage is not known, {result.name!r} failed: {result.error.message}")
    return [result.outputs[layer.name].astype(np.int64) for result in results]


def _identity(config: CoreConfig, job: SimulationJob, layer: IntegerLayer) -> Program:
    """The program with parameters that let accumulators through as they are."""
    zero = np.zeros(layer.out_channels, dtype=np.int64)
    return probe_program(config, job.program, replace(layer, bias=zero, mantissa=zero + _UNIT_MANTISSA, exponent=zero))


def read_nothing(config: CoreConfig, job: SimulationJob, layer: IntegerLayer, run: Run) -> Int64Array:
    """What the core makes of zeros in this job: (N,), all zero when it is right; the last token that is not counts."""
    zeros = {**job.inputs, layer.name: np.zeros_like(job.inputs[layer.name])}
    probe = replace(job, name="zeros", program=_identity(config, job, layer), inputs=zeros)
    (output,) = _outputs(run([probe]), layer)
    result = np.zeros(layer.out_channels, dtype=np.int64)
    for row in output:
        result = np.where(row != 0, row, result)
    return result


def read_weights(config: CoreConfig, job: SimulationJob, layer: IntegerLayer, run: Run) -> Int64Array:
    """The weights that the core decodes in this job: (N, K)."""
    program = _identity(config, job, layer)
    tokens, channels = job.inputs[layer.name].shape
    jobs = []
    for start in range(0, channels, tokens):
        one_hot = np.eye(tokens, channels, start, dtype=np.int8)
        jobs.append(replace(job, name=f"weights {start}", program=program, inputs={**job.inputs, layer.name: one_hot}))
    rows = np.concatenate(_outputs(run(jobs), layer))
    return np.ascontiguousarray(rows[:channels].T)


def read_accumulators(
    config: CoreConfig, job: SimulationJob, layer: IntegerLayer, token: int, trace: Trace, run: Run
) -> Int64Array:
    """One token's accumulators in this job: (N,)."""
    estimate: Int64Array = trace.accumulator[token].astype(np.int64)
    for exponent in _EXPONENTS:
        scaled = replace(
            layer,
            bias=-estimate,
            bias_shift=None,
            mantissa=np.full(layer.out_channels, _UNIT_MANTISSA),
            exponent=np.full(layer.out_channels, exponent),
        )
        program = probe_program(config, job.program, scaled)
        (output,) = _outputs(run([replace(job, name=f"accumulators {exponent}", program=program)]), layer)
        estimate = np.clip(estimate + (output[token] << exponent), -(1 << 31), (1 << 31) - 1)
    return estimate
