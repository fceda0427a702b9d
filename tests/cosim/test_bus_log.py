"""The listener beside the core: which channels it says that a job waited for, and which descriptors it saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ssvq_gen.config import PRESETS
from ssvq_gen.format import ErrorCode, Opcode
from ssvq_sim.behaviour import CHANNELS, Behaviour, JobResult, SimulationJob
from ssvq_sim.coverage.bus_log import DEFINES, LISTENING_BENCH, LOG_FILE, Job, read_log
from ssvq_sim.coverage.facts import completed, failure
from ssvq_sim.runner import Session
from ssvq_sim.simulator import build_simulator
from ssvq_sim.systems.error_cases import SLAVE_ERROR, bus_error
from ssvq_sim.systems.work import GOOD, OTHER

CONFIG = PRESETS["tiny"]
STORES = [i for i, d in enumerate(GOOD.program.descriptors()) if d["opcode"] == Opcode.STORE]
FAULT = bus_error("a STORE", "STORE", STORES[1], GOOD.program.descriptor(STORES[1])["dram_offset"], SLAVE_ERROR).job
PAUSED = [Behaviour(stalls={channel: 0.5}) for channel in CHANNELS]
WORKS = [OTHER.job("quick"), *(GOOD.job("paused", behaviour=behaviour) for behaviour in PAUSED), FAULT]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[SimulationJob, JobResult, Job]]]:
    """Jobs, what the driver has of them, and what the listener has."""
    folder = tmp_path_factory.mktemp("log")
    simulator = build_simulator(CONFIG, bench=LISTENING_BENCH, extra_defines=DEFINES)
    with Session(simulator, folder=folder, wall_seconds=120) as session:
        results = [session.run(replace(job, name=f"{number}")) for number, job in enumerate(WORKS)]
    with (folder / LOG_FILE).open(encoding="utf-8") as log:
        yield list(zip(WORKS, results, read_log(log), strict=True))


def test_it_has_seen_every_descriptor_and_every_burst(ran: list[tuple[SimulationJob, JobResult, Job]]) -> None:
    before = 0
    for job, result, seen in ran[:-1]:
        assert result.error is None
        assert [seen.descriptors[i] for i in range(seen.count)] == job.program.descriptors()
        assert len(list(completed(seen))) == job.program.descriptor_count
        moved = sum(d["dram_bytes"] for d in job.program.descriptors() if d["opcode"] == Opcode.STORE)
        assert result.write_beats - before == moved // CONFIG.beat_bytes
        before = result.write_beats
        written = {burst.address for burst in seen.bursts if "b" in burst.waits}
        assert len(written) == sum("b" in burst.waits for burst in seen.bursts)
        assert {
            job.memory_base + d["dram_offset"] for d in job.program.descriptors() if d["opcode"] == Opcode.STORE
        } <= written


def test_a_memory_that_never_pauses_is_not_waited_for(ran: list[tuple[SimulationJob, JobResult, Job]]) -> None:
    assert not any(cycles for burst in ran[0][2].bursts for cycles in burst.waits.values())


@pytest.mark.parametrize("number", range(len(CHANNELS)))
def test_the_channel_that_pauses_is_waited_for(ran: list[tuple[SimulationJob, JobResult, Job]], number: int) -> None:
    """Reads and writes share a beat in each cycle, so that channels of data also wait a little for the other."""
    paused = CHANNELS[number]
    waits = [
        {channel: sum(burst.waits.get(channel, 0) for burst in seen.bursts) for channel in CHANNELS}
        for _, _, seen in ran[1:-1]
    ]
    assert waits[number][paused] > 10
    assert all(not cycles for channel, cycles in waits[number].items() if channel not in (paused, "r", "w"))
    assert max(range(len(waits)), key=lambda job: waits[job][paused]) == number


def test_an_error_is_that_of_the_driver(ran: list[tuple[SimulationJob, JobResult, Job]]) -> None:
    _, result, seen = ran[-1]
    assert result.error is not None
    found = failure(seen)
    assert found is not None
    assert (
        (found.code, seen.failed) == (ErrorCode.WRITE_SLAVE, STORES[1]) == (result.error.code, result.error.descriptor)
    )
    assert found.opcode is Opcode.STORE
