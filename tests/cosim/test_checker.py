"""A deliberately damaged job: the checker names the layer, the place and the earliest stage that went wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from system_cases import LayerCase

from ssvq.compile import compile_layer
from ssvq.program import Program
from ssvq.reference import Int64Array, exact_matmul
from ssvq.weight_stream import stream_format_of, unpack_stream
from ssvq_gen.arithmetic import requantize
from ssvq_gen.config import PRESETS
from ssvq_gen.format import Opcode
from ssvq_sim.behaviour import Behaviour, JobError, JobResult, SimulationJob
from ssvq_sim.checker import Run, Stage, check_job, first_difference, read_accumulators, read_weights
from ssvq_sim.runner import Session
from ssvq_sim.simulator import build_simulator

CONFIG = PRESETS["tiny"]
LAYER, X = LayerCase(
    weight_format="ssvq",
    codebook_size=16,
    vector_dim=8,
    in_channels=30,
    out_channels=20,
    tokens=7,
    activations="random",
    weights="random",
    parameters="tuned",
    seed=11,
).build("layer")
PROGRAM = compile_layer(CONFIG, LAYER, X.shape[0])
FORMAT = stream_format_of(LAYER, CONFIG)
MATMUL = next(d for d in PROGRAM.descriptors() if d["opcode"] == Opcode.MATMUL)
COLUMN = FORMAT.codebook_stream_words + FORMAT.column_words(MATMUL["k_tiles"])
"""First stream word of the second tile column."""


def damaged(word: int, byte: int, bits: int) -> Program:
    """The program with bits of its weight stream flipped."""
    image = PROGRAM.image.copy()
    image[MATMUL["dram_offset"] + word * CONFIG.stream_bytes + byte] ^= bits
    return replace(PROGRAM, image=image)


def job_of(program: Program) -> SimulationJob:
    return SimulationJob(
        name="job", program=program, inputs={"layer": X}, behaviour=Behaviour(latency=3), timeout_cycles=100_000
    )


@pytest.mark.slow
@pytest.mark.cosim
def test_stages_on_the_core() -> None:
    """A codebook byte, a sign bit, an index bit, a bias and a multiplier, each found at its stage and place."""
    parameters, planes = COLUMN + FORMAT.parameter_words, FORMAT.index_width
    with Session(build_simulator(CONFIG), wall_seconds=120) as session:

        def run(jobs: Sequence[SimulationJob]) -> list[JobResult]:
            return [session.run(job) for job in jobs]

        def check(program: Program) -> tuple[Stage, int, int | None, int | None, int]:
            job = job_of(program)
            found = check_job(CONFIG, job, LAYER, session.run(job), run)
            assert found is not None
            assert found.layer == "layer"
            assert found.expected != found.actual
            assert f"column {found.column}" in str(found)
            return found.stage, found.n_tile, found.k_tile, found.row, found.column

        assert check_job(CONFIG, job_of(PROGRAM), LAYER, session.run(job_of(PROGRAM)), run) is None
        codebook = check(damaged(1, 1, 0x08))
        assert codebook[0] is Stage.WEIGHT
        # Bit 8 * 1 + 2 of the second sign word: row 1 of the second row block, lane 2; 8 lanes and columns.
        assert check(damaged(parameters + planes + 1, 1, 0x04)) == (Stage.WEIGHT, 1, 0, 5, 2)
        assert check(damaged(parameters, 0, 0x02))[0] is Stage.WEIGHT
        assert check(damaged(COLUMN, 3, 0x10)) == (Stage.OUTPUT, 1, None, None, 0)
        assert check(damaged(COLUMN, 5, 0x04)) == (Stage.OUTPUT, 1, None, None, 0)
        job = job_of(damaged(parameters + planes + 1, 1, 0x04))
        changed = LAYER.weight.copy()
        changed[CONFIG.cols + 2, 5] *= -1
        assert (read_weights(CONFIG, job, LAYER, run) == changed).all()
        trace = LAYER.reference(X)
        wrong = replace(LAYER, weight=changed).reference(X).accumulator[4]
        assert (read_accumulators(CONFIG, job, LAYER, 4, trace, run) == wrong).all()


def core_with(fault: Callable[[Int64Array], Int64Array]) -> Run:
    """A core whose accumulators of channel 9 go through `fault`; it takes everything else out of the program."""

    def run(jobs: Sequence[SimulationJob]) -> list[JobResult]:
        results = []
        for job in jobs:
            stream = job.program.image[MATMUL["dram_offset"] :][: MATMUL["dram_bytes"]].tobytes()
            held = unpack_stream(stream, FORMAT, k_tiles=MATMUL["k_tiles"], n_tiles=MATMUL["n_tiles"])
            sums = exact_matmul(job.inputs["layer"], held.weight[: LAYER.out_channels, : LAYER.in_channels])
            sums[:, 9] = fault(sums[:, 9])
            d = next(d for d in job.program.descriptors() if d["opcode"] == Opcode.MATMUL)
            parameters = (values[: LAYER.out_channels] for values in (held.bias, held.mantissa, held.exponent))
            output = requantize(sums, *parameters, d["zero_point"], d["clamp_min"], d["clamp_max"])
            results.append(
                JobResult(
                    name=job.name,
                    outputs={"layer": output.astype(np.int8)},
                    counters={},
                    cycles=0,
                    wall_seconds=0.0,
                    read_beats=0,
                    write_beats=0,
                    stray=None,
                    error=None,
                )
            )
        return results

    return run


SOUND = core_with(lambda sums: sums)
UNIT = replace(
    LAYER,
    mantissa=np.full(LAYER.out_channels, 1024),
    exponent=np.zeros(LAYER.out_channels, dtype=np.int64),
    bias=-LAYER.reference(X).accumulator[2].astype(np.int64),
)
"""Its outputs show the accumulators of token 2, and no others."""


def test_wrong_accumulator() -> None:
    job = job_of(compile_layer(CONFIG, UNIT, X.shape[0]))
    run = core_with(lambda sums: sums - 2000 * (np.abs(sums) > 200))
    found = check_job(CONFIG, job, UNIT, run([job])[0], run)
    assert found is not None
    assert (found.stage, found.n_tile, found.column) == (Stage.ACCUMULATOR, 1, 1)
    assert found.expected == LAYER.reference(X).accumulator[found.token, 9]
    assert found.actual == found.expected - 2000


def test_accumulator_that_is_not_cleared() -> None:
    job = job_of(compile_layer(CONFIG, UNIT, X.shape[0]))
    run = core_with(lambda sums: sums + 8)
    found = check_job(CONFIG, job, UNIT, run([job])[0], run)
    assert found is not None
    assert (found.stage, found.column, found.expected, found.actual) == (Stage.ACCUMULATOR, 1, 0, 8)
    assert "all activations zero" in str(found)


def test_fault_that_does_not_repeat() -> None:
    job = job_of(PROGRAM)
    output = LAYER.reference(X).output.copy()
    output[3, 4] ^= 1
    found = check_job(CONFIG, job, LAYER, replace(SOUND([job])[0], outputs={"layer": output}), SOUND)
    assert found is not None
    assert (found.stage, found.token, found.channel, found.count) == (Stage.OUTPUT, 3, 4, 1)
    assert "does not happen again" in str(found)


def test_probe_that_fails() -> None:
    job = job_of(PROGRAM)
    wrong = replace(SOUND([job])[0], outputs={"layer": LAYER.reference(X).output ^ 1})
    error = JobError(type="JobStalled", message="nothing moved")
    found = check_job(
        CONFIG, job, LAYER, wrong, lambda jobs: [replace(wrong, name=j.name, error=error, outputs={}) for j in jobs]
    )
    assert found is not None
    assert found.stage is Stage.OUTPUT
    assert "the stage is not known, 'zeros' failed: nothing moved" in str(found)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"must have shape \(2, 3\), not \(3, 2\)"):
        first_difference(np.zeros((2, 3), np.int8), np.zeros((3, 2), np.int8))
