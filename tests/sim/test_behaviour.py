"""The memory's behaviour: its rules, its ports, and the files through which jobs pass."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssvq.compile import compile_layer
from ssvq.driver import Profile, ProfileRow
from ssvq_gen.config import PRESETS, WeightFormat
from ssvq_gen.format import Opcode
from ssvq_sim.behaviour import Behaviour, Fault, Hang, JobError, JobResult, SimulationJob
from ssvq_sim.job_files import read_config, read_job, read_result, write_config, write_job, write_result
from ssvq_sim.systems.layers import random_input, random_layer

BUSY = Behaviour(
    latency=9,
    bytes_per_cycle=2,
    stalls={"r": 0.5, "b": 0.25},
    seed=7,
    faults=(Fault(first=64, last=127, response=2, reads=True), Fault(first=0, last=7, response=3, writes=True)),
    hang=Hang(channels=("aw", "w"), after=5, cycles=100),
)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"latency": -1}, "latency must be from 0 to 65535 cycles, not -1"),
        ({"bytes_per_cycle": 3}, "bytes_per_cycle must be 0 or a power of two up to 64, not 3"),
        ({"stalls": {"x": 0.5}}, "stalls must be probabilities below 1 of ar, r, aw, w, b"),
        ({"stalls": {"r": 1.0}}, "stalls must be probabilities below 1"),
        ({"faults": 5 * (Fault(first=0, last=0, response=2),)}, "at most 4 faults, not 5"),
    ],
)
def test_rules(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Behaviour(**values)


def test_rules_of_parts() -> None:
    with pytest.raises(ValueError, match=r"response must be 2 \(SLVERR\) or 3 \(DECERR\), not 1"):
        Fault(first=0, last=0, response=1)
    with pytest.raises(ValueError, match="ascending range of offsets, not 8 to 7"):
        Fault(first=8, last=7, response=2)
    with pytest.raises(ValueError, match="channels must be some of ar, r, aw, w, b"):
        Hang(channels=("c",), cycles=1)
    with pytest.raises(ValueError, match=r"at most a beat \(4\), not 8"):
        Behaviour(bytes_per_cycle=8).rate(4)


def test_ports() -> None:
    ports = BUSY.ports(8, 0x1000)
    assert (ports["bus_latency"], ports["bus_bytes_per_cycle"], ports["bus_base"]) == (9, 2, 0x1000)
    assert (ports["bus_stall_r"], ports["bus_stall_b"], ports["bus_stall_ar"]) == (128, 64, 0)
    assert ports["bus_fault_first"] == 0x1040 | 0x1000 << 64
    assert ports["bus_fault_last"] == 0x107F | 0x1007 << 64
    assert (ports["bus_fault_response"], ports["bus_fault_reads"], ports["bus_fault_writes"]) == (0b1110, 1, 2)
    assert Behaviour().ports(16, 0)["bus_bytes_per_cycle"] == 16


@pytest.mark.parametrize("behaviour", [Behaviour(), BUSY])
def test_behaviour_survives_json(behaviour: Behaviour) -> None:
    assert Behaviour.from_dict(json.loads(json.dumps(asdict(behaviour)))) == behaviour


def test_job_survives_its_files(tmp_path: Path) -> None:
    config = PRESETS["tiny"]
    rng = np.random.default_rng(0)
    layer = random_layer(rng, weight_format=WeightFormat.SSVQ, out_channels=5, in_channels=6)
    x = random_input(rng, 3, layer)
    job = SimulationJob(
        name="a",
        program=compile_layer(config, layer, 3),
        inputs={"layer": x},
        behaviour=BUSY,
        profile=True,
        abort_after=4,
        driver_config=config.replace(cols=16).to_dict(),
    )
    write_config(tmp_path, config)
    write_job(tmp_path, 3, job)
    again = read_job(tmp_path, 3)
    assert read_config(tmp_path) == config
    assert again.settings() == job.settings()
    assert again.profile
    assert (again.program.image == job.program.image).all()
    assert (again.inputs["layer"] == x).all()


PROFILE = Profile(
    rows=(
        ProfileRow(index=0, opcode=Opcode.LOAD, job="a", begin=1, end=3, classes={}),
        ProfileRow(
            index=1,
            opcode=Opcode.MATMUL,
            job=None,
            begin=1,
            decoded=5,
            compute_begin=4,
            compute_end=6,
            drain_begin=7,
            end=8,
            classes={"ARRAY_CYCLES": 6},
        ),
    ),
    tail={"ARRAY_CYCLES": 3},
    total=9,
    left_out=2,
)


@pytest.mark.parametrize("profile", [None, PROFILE], ids=["plain", "profile"])
def test_result_survives_its_files(tmp_path: Path, profile: Profile | None) -> None:
    result = JobResult(
        name="a",
        outputs={"layer": np.arange(6, dtype=np.int8).reshape(2, 3)},
        counters={"TOTAL_CYCLES": 9},
        cycles=10,
        wall_seconds=0.5,
        read_beats=1,
        write_beats=2,
        stray=None,
        error=None,
        profile=profile,
    )
    assert read_result(tmp_path, 0) is None
    write_result(tmp_path, 0, result)
    again = read_result(tmp_path, 0)
    assert again is not None
    assert (again.outputs["layer"] == result.outputs["layer"]).all()
    assert (again.counters, again.cycles, again.stray) == (result.counters, 10, None)
    assert again.profile == profile
    error = JobError(type="JobFailed", message="m", code=1, descriptor=2, address=3, layer="l")
    write_result(tmp_path, 1, replace(result, outputs={}, error=error))
    failed = read_result(tmp_path, 1)
    assert failed is not None
    assert failed.error == error


def test_a_result_without_the_key_of_the_profile(tmp_path: Path) -> None:
    result = JobResult(
        name="a",
        outputs={},
        counters={},
        cycles=10,
        wall_seconds=0.5,
        read_beats=1,
        write_beats=2,
        stray=None,
        error=None,
    )
    write_result(tmp_path, 0, result)
    path = tmp_path / "0.result.json"
    data = json.loads(path.read_text())
    del data["profile"]
    path.write_text(json.dumps(data))
    again = read_result(tmp_path, 0)
    assert again is not None
    assert again.profile is None
