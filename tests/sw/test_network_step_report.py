"""Work and cycles by step and layer: sums are those of the model, the program and the run."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from fake_profiles import ARRAY, DURATION, OUTPUT, VECTOR_DURATION, WEIGHTS, counters_of, fake_profile
from test_network_lowering import INT8, SSVQ, compiled, images, small_vit

from ssvq.driver.profile import Profile, ProfileRow, check_profile
from ssvq.network import graph_of
from ssvq.network.errors import ReportError
from ssvq.network.program.emission import CompiledNetwork
from ssvq.network.report.cycle_charges import charge
from ssvq.network.report.profiled import on_core, profiling_core
from ssvq.network.report.step_report import StepReport, step_report
from ssvq.network.work_report import work_report
from ssvq.program import ProgramError
from ssvq.roofline import roofline_cycles
from ssvq_gen.config import PRESETS
from ssvq_gen.format import Opcode
from ssvq_gen.profile import PROFILE_CLASSES

CONFIG = PRESETS["tiny"]


@pytest.fixture(scope="module")
def made() -> CompiledNetwork:
    return compiled(small_vit(), images(1), CONFIG, SSVQ)


@pytest.fixture(scope="module")
def report(made: CompiledNetwork) -> StepReport:
    profile = fake_profile(made.program)
    check_profile(profile)
    return step_report(made, CONFIG, 1, profile=profile, counters=counters_of(profile))


def test_work_is_that_of_the_model(report: StepReport) -> None:
    model = small_vit()
    work = report.whole.work
    assert work.macs == work_report(graph_of(model, images(1)[0])).macs
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)]
    assert work.weights == sum(layer.weight.numel() for layer in layers)


def test_bytes_and_rooflines_are_those_of_the_program(made: CompiledNetwork, report: StepReport) -> None:
    fields = made.program.descriptors()
    work = report.whole.work
    assert work.weight_bytes == sum({d["dram_offset"]: d["dram_bytes"] for d in fields if d["opcode"] == 3}.values())
    assert work.load_bytes == sum(d["dram_bytes"] for d in fields if d["opcode"] == Opcode.LOAD)
    assert work.store_bytes == sum(d["dram_bytes"] for d in fields if d["opcode"] == Opcode.STORE)
    assert work.roofline_cycles == roofline_cycles(CONFIG, made.program, 1)
    assert work.descriptors == made.program.descriptor_count


def test_weights_have_the_bits_of_their_stream(report: StepReport) -> None:
    layers = {row.work.layer: row.work for row in report.layers}
    fc2 = layers["blocks.0.mlp.fc2"]
    assert fc2.codes == ("ssvq k=16 d=8",)
    assert fc2.bits_per_weight == 8 * fc2.weight_bytes / (32 * 64)
    assert 1.5 < fc2.bits_per_weight < 3
    assert layers["blocks.0.norm1"].bits_per_weight is None
    dense = step_report(compiled(small_vit(), images(1), CONFIG, INT8), CONFIG, 1).whole.work
    assert dense.weight_formats == ("int8",)
    assert 8 < (dense.bits_per_weight or 0) < 10


def test_a_layer_is_all_of_its_steps(made: CompiledNetwork, report: StepReport) -> None:
    layers = {row.work.layer: row for row in report.layers}
    assert len(report.steps) == len(made.program.jobs) > len(layers) == len(report.layers)
    for name, kind, steps in (
        ("blocks.0.attn.softmax", "softmax", 4),
        ("blocks.0.attn.matmul", "product", 4),
        ("blocks.1.mlp.fc1", "matmul", 4),
        ("blocks.1.mlp.act", "sum", 4),
        ("blocks.1.mlp.fc2", "matmul", 1),
    ):
        work = layers[name].work
        assert work.kinds[0] == kind
        assert sum(row.work.layer == name for row in report.steps) == steps
    assert layers["blocks.0.attn.matmul"].work.macs == 4 * 17 * 17 * 8
    assert layers["blocks.1.mlp.fc1"].work.macs == 17 * 32 * 64


def test_cycles_are_charged_to_what_ran(made: CompiledNetwork, report: StepReport) -> None:
    layers = {row.work.layer: row for row in report.layers}
    jobs = [job for job in made.program.jobs if job.name.startswith("blocks.0.attn.softmax")]
    places = [job.first_descriptor + number for job in jobs for number in range(job.descriptor_count)]
    descriptors = [made.program.descriptor(place) for place in places]
    loads = sum(d["opcode"] == Opcode.LOAD for d in descriptors)  # constants of later steps
    expected = {"VECTOR_CYCLES": 4 * VECTOR_DURATION, "LOAD_CYCLES": loads * DURATION[Opcode.LOAD]}
    assert layers["blocks.0.attn.softmax"].classes == {name: cycles for name, cycles in expected.items() if cycles}
    assert layers["blocks.0.attn.qkv"].classes == {
        "WAIT_WEIGHT_CYCLES": WEIGHTS,
        "ARRAY_CYCLES": ARRAY,
        "WAIT_OUTPUT_CYCLES": OUTPUT,
    }
    assert layers["input images"].classes == {"LOAD_CYCLES": DURATION[Opcode.LOAD]}
    assert layers["output output"].classes == {"STORE_CYCLES": 5}
    assert layers["blocks.0.attn.softmax"].ratio is None
    assert layers["blocks.0.attn.qkv"].ratio == 9 / layers["blocks.0.attn.qkv"].work.roofline_cycles


@pytest.mark.parametrize("depth", [None, 64, 9, 0])
def test_all_cycles_are_somewhere(made: CompiledNetwork, depth: int | None) -> None:
    profile = fake_profile(made.program, depth)
    check_profile(profile)
    counters = counters_of(profile)
    report = step_report(made, CONFIG, 1, profile=profile, counters=counters)
    steps = sum(row.cycles or 0 for row in report.steps)
    assert steps == sum(row.cycles or 0 for row in report.layers)
    assert steps + sum(report.rest.values()) == report.total == counters["TOTAL_CYCLES"]
    assert report.classes == {name: counters[name] for name in PROFILE_CLASSES if counters[name]}
    assert report.whole.beyond == report.left_out == made.program.descriptor_count - len(profile.rows)
    if depth is None:
        assert report.rest == {"WAIT_DESCRIPTOR_CYCLES": 1}
    else:
        last = report.steps[-1]
        assert (last.cycles, last.beyond, last.ratio) == (None, 1, None)
        assert report.rest == {name: cycles for name, cycles in profile.tail.items() if cycles}


def row(index: int, opcode: Opcode, begin: int, end: int, **more: object) -> ProfileRow:
    return ProfileRow(
        **{"index": index, "opcode": opcode, "job": "", "begin": begin, "end": end, "classes": {}, **more}
    )


def test_operations_that_ran_together_share_cycles() -> None:
    """Only what ran while the array stood counts, and no cycle is lost by rounding."""
    nothing = dict.fromkeys(PROFILE_CLASSES, 0)
    rows = (
        row(0, Opcode.SUM, 0, 40),
        row(1, Opcode.SOFTMAX, 40, 90),
        row(2, Opcode.LOAD, 5, 95),
        row(
            3,
            Opcode.MATMUL,
            80,
            130,
            compute_begin=80,
            compute_end=120,
            classes=nothing | {"VECTOR_CYCLES": 79, "ARRAY_CYCLES": 40, "LOAD_CYCLES": 1},
        ),
        row(4, Opcode.STORE, 125, 140),
    )
    tail = nothing | {"WAIT_OUTPUT_CYCLES": 10, "STORE_CYCLES": 9, "VECTOR_CYCLES": 1}
    profile = Profile(rows=rows, tail=tail, total=140)
    check_profile(profile)
    found = charge(profile)
    assert found.descriptors == {
        0: {"VECTOR_CYCLES": 39},
        1: {"VECTOR_CYCLES": 40},
        2: {"LOAD_CYCLES": 1},
        3: {"ARRAY_CYCLES": 40, "WAIT_OUTPUT_CYCLES": 10},
        4: {"STORE_CYCLES": 9},
    }
    assert found.rest == {"VECTOR_CYCLES": 1}


def test_without_a_profile_there_is_the_work_alone(made: CompiledNetwork, report: StepReport) -> None:
    bare = step_report(made, CONFIG, 1)
    assert [own.work for own in bare.steps] == [own.work for own in report.steps]
    assert (bare.total, bare.classes, bare.whole.cycles) == (None, {}, None)


def test_a_profile_of_something_else_is_refused(made: CompiledNetwork) -> None:
    profile = fake_profile(made.program)
    other = compiled(small_vit(depth=1), images(1), CONFIG, SSVQ)
    with pytest.raises(ReportError, match=r"^profile: it is of another program: it has \d+ descriptors, this has \d+$"):
        step_report(other, CONFIG, 1, profile=profile)
    wrong = replace(profile, rows=(replace(profile.rows[0], job="another"), *profile.rows[1:]))
    with pytest.raises(ReportError, match="its row 0 is LOAD of 'another', not of 'input images'"):
        step_report(made, CONFIG, 1, profile=wrong)
    counters = counters_of(profile)
    with pytest.raises(ReportError, match=r"its ARRAY_CYCLES add up to \d+, the counter says 1$"):
        step_report(made, CONFIG, 1, profile=profile, counters=counters | {"ARRAY_CYCLES": 1})
    with pytest.raises(ReportError, match="its parts add up to"):
        step_report(made, CONFIG, 1, profile=replace(profile, total=profile.total + 1))


def test_another_core_is_refused(made: CompiledNetwork) -> None:
    with pytest.raises(ProgramError, match="was not compiled for the configuration 'edge'"):
        step_report(made, PRESETS["edge"], 1)
    with pytest.raises(ProgramError, match="bytes_per_cycle must be above 0 and at most 4, not 5"):
        step_report(made, CONFIG, 5)


def test_a_core_that_records_everything(made: CompiledNetwork) -> None:
    program = made.program
    deeper = profiling_core(CONFIG.replace(profile_depth=16), [program])
    assert program.descriptor_count <= deeper.profile_depth < 2 * program.descriptor_count
    assert deeper == CONFIG.replace(profile_depth=deeper.profile_depth)
    moved = on_core(program, CONFIG, deeper)
    assert (moved.config_digest, moved.jobs) == (deeper.digest, program.jobs)
    assert (moved.image == program.image).all()
    assert profiling_core(deeper, [program]) == deeper
    with pytest.raises(ProgramError, match="'edge' must differ from 'tiny' in profile_depth alone"):
        on_core(program, CONFIG, PRESETS["edge"])
    with pytest.raises(ProgramError, match="the program was not compiled for the configuration 'edge'"):
        on_core(program, PRESETS["edge"], PRESETS["edge"])
