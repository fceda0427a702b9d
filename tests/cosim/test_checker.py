"""A deliberately damaged job: the checker names the layer, the place and the earliest stage that went wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from ssvq.compile import compile_layer, compile_layers
from ssvq.integer_layer import IntegerLayer
from ssvq.program import Program, place_input, read_output
from ssvq.reference import Int64Array, exact_matmul
from ssvq.weight_stream import stream_format_of, unpack_stream
from ssvq_gen.arithmetic import encode_multiplier, requantize
from ssvq_gen.config import PRESETS
from ssvq_gen.format import Opcode
from ssvq_sim.behaviour import Behaviour, JobError, JobResult, SimulationJob
from ssvq_sim.checker import Run, Stage, check_job, first_difference, read_accumulators, read_weights
from ssvq_sim.runner import Session
from ssvq_sim.simulator import build_simulator
from ssvq_sim.systems.core_model import CoreModel
from ssvq_sim.systems.layer_cases import LayerCase

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


SOUND_RESULT = JobResult(
    name="job",
    outputs={},
    counters={},
    cycles=0,
    wall_seconds=0.0,
    read_beats=0,
    write_beats=0,
    stray=None,
    error=None,
)


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
            results.append(replace(SOUND_RESULT, name=job.name, outputs={"layer": output.astype(np.int8)}))
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


def with_records(layer: IntegerLayer, bias_shift: int | None, shared_multiplier: bool) -> IntegerLayer:
    """The layer with records of that kind, its outputs spread over int8."""
    bias = np.zeros_like(layer.bias)
    bias[::2] = 4096
    mantissa, exponent = (np.full_like(bias, value) for value in encode_multiplier(1 / 512))
    if not shared_multiplier:
        mantissa[1] += 1
    return replace(
        layer,
        bias=bias,
        mantissa=mantissa,
        exponent=exponent,
        bias_shift=bias_shift,
        shared_multiplier=shared_multiplier,
    )


def model(jobs: Sequence[SimulationJob]) -> list[JobResult]:
    """The functional model of the core, on the program's own image and tensors."""
    results = []
    for job in jobs:
        memory = job.program.new_memory()
        for name, x in job.inputs.items():
            place_input(memory, job.program, x, job=name)
        CoreModel(CONFIG).run(memory, job.program.descriptor_offset, job.program.descriptor_count)
        outputs = {name: read_output(memory, job.program, job=name) for name in job.inputs}
        results.append(replace(SOUND_RESULT, name=job.name, outputs=outputs))
    return results


@pytest.mark.parametrize(("bias_shift", "shared_multiplier"), [(None, False), (None, True), (5, False), (5, True)])
def test_probes_of_all_records(bias_shift: int | None, shared_multiplier: bool) -> None:
    """A damaged weight is found, and read back, in a layer in three chunks of tokens between two other layers."""
    rng = np.random.default_rng(7)
    layer = with_records(LAYER, bias_shift, shared_multiplier)
    others = [with_records(replace(LAYER, name=name), None, False) for name in ("before", "after")]
    tokens = 2 * CONFIG.accumulator_depth + 5
    layers = [(others[0], 3), (layer, tokens), (others[1], 4)]
    program = compile_layers(CONFIG, layers)
    inputs = {part.name: rng.integers(-128, 128, (count, 30), dtype=np.int8) for part, count in layers}
    job = replace(job_of(program), inputs=inputs)
    (result,) = model([job])
    for part, _ in layers:
        assert check_job(CONFIG, job, part, result, model) is None

    f = stream_format_of(layer, CONFIG)
    first = next(i for i in range(program.job("layer").first_descriptor, 1000) if program.descriptor(i)["opcode"] == 3)
    sign = f.codebook_stream_words + f.column_words(4) + f.parameter_words + f.index_width + 1
    image = program.image.copy()
    image[program.descriptor(first)["dram_offset"] + sign * CONFIG.stream_bytes + 1] ^= 0x04
    job = replace(job, program=replace(program, image=image))
    (result,) = model([job])
    found = check_job(CONFIG, job, layer, result, model)
    assert found is not None
    assert (found.stage, found.n_tile, found.k_tile, found.row, found.column) == (Stage.WEIGHT, 1, 0, 5, 2)
    wrong = layer.weight.copy()
    wrong[CONFIG.cols + 2, 5] *= -1
    np.testing.assert_array_equal(read_weights(CONFIG, job, layer, model), wrong)
    x = inputs["layer"]
    for token in (0, CONFIG.accumulator_depth, tokens - 1):
        sums = read_accumulators(CONFIG, job, layer, token, layer.reference(x), model)
        np.testing.assert_array_equal(sums, exact_matmul(x, wrong)[token])


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
