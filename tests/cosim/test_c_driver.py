"""The C driver on the simulated `tiny`: bit-exact results, and every kind of failure followed by a right run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from c_driver import Command, Ran, build, checked_command

from ssvq.program_file import program_to_bytes
from ssvq_gen.format import ErrorCode, Opcode
from ssvq_sim.behaviour import Behaviour, Fault, Hang
from ssvq_sim.bridge import BridgedCore
from ssvq_sim.job_bench import FILL, GUARD_BYTES, first_stray
from ssvq_sim.simulator import build_simulator
from ssvq_sim.systems.work import BASE, CONFIG, GOOD, LONG_LOAD, OTHER, Work

pytestmark = [pytest.mark.slow, pytest.mark.cosim]

MEMORY_BYTES = 1 << 16


class Host:
    """A core in simulation, and the command that drives it."""

    def __init__(self, core: BridgedCore, folder: Path, executable: Path) -> None:
        self.core = core
        self.command = Command(executable, folder)

    def run(self, work: Work, *options: str, behaviour: Behaviour | None = None, data: bytes | None = None) -> Ran:
        self.core.behave(behaviour or Behaviour())
        self.core.memory[:] = FILL
        device = ("--socket", "bus.socket", "--memory", "dram.bin")
        return self.command.run(data or work.program, work.inputs, device, *options)

    def check_good(self, work: Work = GOOD, *options: str, behaviour: Behaviour | None = None) -> Ran:
        """The outputs are the reference's, and nothing else in DRAM has changed."""
        ran = self.run(work, *options, behaviour=behaviour)
        assert (ran.code, ran.error) == (0, "")
        for name, expected in work.expected.items():
            np.testing.assert_array_equal(ran.outputs[name], expected)
        seen = self.core.memory[: work.program.memory_bytes + GUARD_BYTES]
        stray = first_stray(seen, work.program, work.job("c"))
        assert stray is None, f"byte {stray} of DRAM changed"
        return ran

    def check_failure(self, ran: Ran, result: str, message: str) -> None:
        """The failure is the one, and the core takes the next job."""
        assert (ran.code, ran.result, ran.message) == (1, result, message)
        self.check_good()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("bridge")
    with BridgedCore(build_simulator(CONFIG), folder=folder, memory_bytes=MEMORY_BYTES) as core:
        yield Host(core, folder, checked_command(CONFIG))


def test_programs(host: Host) -> None:
    """By interrupt and by polling, one program after the other; the beats are those that the programs move."""
    slow = Behaviour(latency=30, stalls={"r": 0.3, "b": 0.3}, seed=3)
    for work in (GOOD, OTHER, GOOD):
        host.check_good(work)
        counters = host.check_good(work, "--poll", "--counters", behaviour=slow).numbers()
        streams = [d for d in work.program.descriptors() if d["opcode"] == Opcode.MATMUL]
        assert counters["ARRAY_CYCLES"] == sum(d["tokens"] * d["k_tiles"] * d["n_tiles"] for d in streams)
        stores = sum(d["dram_bytes"] for d in work.program.descriptors() if d["opcode"] == Opcode.STORE)
        assert counters["WRITE_BEATS"] == stores // CONFIG.beat_bytes


def test_profile(host: Host) -> None:
    """Its rows and its tail make up all cycles, as the driver has checked."""
    lines = host.check_good(GOOD, "--counters", "--profile").lines
    rows = [line.split() for line in lines if line.startswith("row ")]
    assert [Opcode[row[2]] for row in rows] == [d["opcode"] for d in GOOD.program.descriptors()]
    total = int(next(line.split()[1] for line in lines if line.startswith("TOTAL_CYCLES")))
    tail = sum(int(line.split()[2]) for line in lines if line.startswith("tail "))
    costs = sum(
        int(row[i + 1]) for row in rows for i, word in enumerate(row[:-1]) if word.endswith("_CYCLES")
    )  # each class of each row
    assert costs + tail == total


def test_driver_for_another_core(host: Host) -> None:
    other = CONFIG.replace(profile_depth=4)
    wrong = Host(host.core, host.command.folder, build(other) / "ssvq_run")
    ran = wrong.run(GOOD)
    assert (ran.code, ran.result) == (1, "DIGEST_MISMATCH")
    assert ran.message.startswith(f"the core has configuration digest 0x{CONFIG.digest:x}, the driver was compiled")
    assert (host.core.memory == FILL).all()
    host.check_good()


@pytest.mark.parametrize("position", [3, 600, -1])
def test_damaged_files(host: Host, position: int) -> None:
    data = bytearray(program_to_bytes(GOOD.program))
    data[position] ^= 0x20
    ran = host.run(GOOD, data=bytes(data))
    assert (ran.code, ran.result) == (1, "BAD_MAGIC" if position == 3 else "CORRUPT_FILE")
    assert (host.core.memory == FILL).all()
    host.check_good()


def test_bus_errors(host: Host) -> None:
    descriptors = list(enumerate(GOOD.program.descriptors()))
    for response, kind in ((2, "SLAVE"), (3, "DECODE")):
        for opcode, letter in ((Opcode.LOAD, "READ"), (Opcode.STORE, "WRITE")):
            index, fields = next((i, d) for i, d in descriptors if d["opcode"] == opcode)
            at = fields["dram_offset"]
            reads = letter == "READ"
            fault = Fault(first=at, last=at, response=response, reads=reads, writes=not reads)
            code = ErrorCode[f"{letter}_{kind}"]
            host.check_failure(
                host.run(GOOD, behaviour=Behaviour(faults=(fault,))),
                f"AXI_{letter}_ERROR",
                f"descriptor {index} ({opcode.name} of layer 'layer0') failed: {code.meaning} ({code.name}), "
                f"address 0x{BASE + at:x}",
            )


def test_malformed_descriptor(host: Host) -> None:
    ran = host.run(GOOD.patched(4, magic=0))
    assert ran.result == "INVALID_JOB"
    assert ran.message.startswith("descriptor 4 (MATMUL of layer 'layer1') failed: a descriptor has an unknown opcode")
    host.check_good()


def test_watchdog(host: Host) -> None:
    hang = Hang(channels=("r",), cycles=3000)
    ran = host.run(GOOD, "--watchdog-cycles", "500", behaviour=Behaviour(hang=hang))
    meaning = ErrorCode.WATCHDOG.meaning
    host.check_failure(ran, "JOB_STALLED", f"descriptor 0 (LOAD of layer 'layer0') failed: {meaning} (WATCHDOG), "
                       "address 0x0")  # fmt: skip


@pytest.mark.parametrize("waiting", [(), ("--poll",)])
def test_time_out(host: Host, waiting: tuple[str, ...]) -> None:
    ran = host.run(LONG_LOAD, "--timeout-us", "3", *waiting)
    host.check_failure(ran, "JOB_TIMEOUT", "no end after 3 us, 0 of 3 descriptors done; the job is aborted")
