from typing import Any

import pytest

from ssvq_gen.config import PRESETS
from ssvq_gen.format import DESCRIPTOR_BYTES, ErrorCode
from ssvq_rtl.job_control import JobControl
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded

MEMORY_SIZE = 1 << 16
STATUS = ("busy", "done", "failed", "draining")
PULSES = ("fetch_start", "flush", "done_event", "error_event")


class Host:
    """Drives a `JobControl`, a cycle at a time; counts the pulses it sees."""

    def __init__(self, ctx: Any, dut: JobControl) -> None:
        self._ctx, self._dut = ctx, dut
        self.seen = dict.fromkeys(PULSES, 0)
        self.drive(memory_size=MEMORY_SIZE, descriptor_offset=64, descriptor_count=4, bus_idle=1, quiet=1, progress=1)

    def drive(self, **values: int) -> None:
        for name, value in values.items():
            self._ctx.set(getattr(self._dut, name), value)

    def read(self, name: str) -> int:
        return int(self._ctx.get(getattr(self._dut, name)))

    @property
    def status(self) -> set[str]:
        return {name for name in STATUS if self.read(name)}

    @property
    def error(self) -> tuple[ErrorCode, int, int]:
        error = self._ctx.get(self._dut.first_error)
        return ErrorCode(error.code), int(error.descriptor), int(error.addr)

    def report(self, code: ErrorCode, descriptor: int = 0, addr: int = 0) -> None:
        """Errors are levels or pulses; this one lasts until it is set to NONE."""
        self.drive(error_valid=int(code is not ErrorCode.NONE))
        self._ctx.set(self._dut.error, {"code": code, "descriptor": descriptor, "addr": addr})

    async def tick(self, cycles: int = 1) -> None:
        for _ in range(cycles):
            for name in PULSES:
                self.seen[name] += self.read(name)
            await self._ctx.tick()

    async def pulse(self, *names: str) -> None:
        self.drive(**dict.fromkeys(names, 1))
        await self.tick()
        self.drive(**dict.fromkeys(names, 0))

    async def start(self) -> None:
        """To the first cycle of the running job."""
        self.seen = dict.fromkeys(PULSES, 0)
        await self.pulse("start")
        assert (self.status, self.read("flush"), self.read("fetch_start")) == ({"busy"}, 1, 0)
        await self.tick()
        assert (self.status, self.read("flush"), self.read("fetch_start")) == ({"busy"}, 0, 1)
        await self.tick()
        assert (self.status, self.read("flush"), self.read("fetch_start")) == ({"busy"}, 0, 0)

    async def rest(self, status: set[str]) -> None:
        """Nothing happens any more."""
        before = dict(self.seen)
        for _ in range(TRAILING_CYCLES):
            assert self.status == status
            assert not self.read("halt")
            await self.tick()
        assert self.seen == before


def run(script: Any, cycles: int = 1000) -> None:
    dut = JobControl(config=PRESETS["tiny"])

    async def bench(ctx: Any) -> None:
        await script(Host(ctx, dut))

    run_benches(dut, bench, cycles=cycles)


def test_a_job_from_start_to_clear() -> None:
    async def script(host: Host) -> None:
        await host.rest(set())
        for _ in range(2):
            await host.start()
            await host.tick(7)
            await host.pulse("start", "clear")  # ignored
            assert host.status == {"busy"}
            await host.tick(2)
            host.drive(finished=1)
            assert host.read("done_event") == 1
            await host.pulse("finished")
            assert host.status == {"done"}
            assert host.seen == {"fetch_start": 1, "flush": 1, "done_event": 1, "error_event": 0}
            await host.rest({"done"})
            await host.pulse("start", "abort")
            await host.rest({"done"})
            assert host.error == (ErrorCode.NONE, 0, 0)
            await host.pulse("clear")
            await host.rest(set())

    run(script)


@pytest.mark.parametrize("late", [1, 2, 30])
def test_a_finished_job_waits_until_it_is_quiet(late: int) -> None:
    async def script(host: Host) -> None:
        host.drive(quiet=0)
        await host.start()
        host.drive(quiet=1)
        await host.tick(5)  # quiet alone ends nothing
        host.drive(quiet=0)
        await host.pulse("finished")
        await host.tick(late)
        assert host.status == {"busy"}
        host.drive(quiet=1)
        await host.tick()
        assert host.status == {"done"}
        assert host.seen["done_event"] == 1
        # The next job does not end with the `finished` of this one.
        await host.pulse("clear")
        await host.start()
        await host.tick(20)
        assert host.status == {"busy"}

    run(script)


def test_an_error_after_the_last_descriptor_still_counts() -> None:
    """Padding that is too long is found while a finished job waits."""

    async def script(host: Host) -> None:
        host.drive(quiet=0)
        await host.start()
        await host.pulse("finished")
        host.report(ErrorCode.WEIGHT_LENGTH, 3)
        await host.tick()
        host.drive(quiet=1)
        assert "failed" in host.status
        await host.tick(5)
        assert host.error == (ErrorCode.WEIGHT_LENGTH, 3, 0)
        assert host.seen["done_event"] == 0

    run(script)


@pytest.mark.parametrize("drain", [0, 1, 25])
def test_first_error_wins(drain: int) -> None:
    """Halt from the cycle after the error until the flush, which waits for the bus."""

    async def script(host: Host) -> None:
        for code in (ErrorCode.READ_SLAVE, ErrorCode.WRITE_DECODE):
            await host.start()
            await host.tick(9)
            host.drive(bus_idle=0, quiet=0)
            assert not host.read("halt")
            host.report(code, 17, (1 << 63) + 5)
            assert host.read("error_event") == 1
            await host.tick()
            host.report(ErrorCode.DRAM_RANGE, 18, 6)
            for _ in range(drain):
                assert (host.read("halt"), host.read("flush"), host.status) == (1, 0, {"failed", "draining"})
                await host.pulse("clear", "start", "abort", "finished")  # all too late or too early
            host.drive(bus_idle=1)
            assert (host.read("halt"), host.read("flush")) == (1, 0)
            await host.tick()
            assert (host.read("halt"), host.read("flush"), host.status) == (1, 1, {"failed", "draining"})
            await host.tick()
            await host.rest({"failed"})
            assert host.error == (code, 17, (1 << 63) + 5)
            assert host.seen == {"fetch_start": 1, "flush": 2, "done_event": 0, "error_event": 1}
            host.report(ErrorCode.NONE)
            host.drive(quiet=1)
            await host.pulse("start")
            await host.rest({"failed"})
            await host.pulse("clear")
            assert host.error == (ErrorCode.NONE, 0, 0)
            await host.rest(set())

    run(script)


def test_an_error_beats_the_end_of_the_job() -> None:
    async def script(host: Host) -> None:
        await host.start()
        host.report(ErrorCode.WRITE_SLAVE, 2, 3)
        await host.pulse("finished", "abort")
        assert host.error == (ErrorCode.WRITE_SLAVE, 2, 3)
        assert host.status == {"failed", "draining"}
        await host.tick(5)
        assert host.seen["done_event"] == 0

    run(script)


def test_errors_outside_a_job_are_ignored() -> None:
    async def script(host: Host) -> None:
        host.report(ErrorCode.READ_SLAVE)
        await host.rest(set())
        host.report(ErrorCode.NONE)
        await host.pulse("abort")
        await host.rest(set())
        await host.start()
        await host.pulse("finished")
        host.report(ErrorCode.READ_SLAVE)
        await host.rest({"done"})
        assert host.error == (ErrorCode.NONE, 0, 0)

    run(script)


@pytest.mark.parametrize("cycle", [1, 2, 3, 10])
def test_abort(cycle: int) -> None:
    """Also in the cycles in which the job starts: hosts may write START and ABORT back to back."""

    async def script(host: Host) -> None:
        for _ in range(2):
            host.drive(index=5, bus_idle=0)
            await host.pulse("start")
            await host.tick(cycle - 1)
            await host.pulse("abort")
            await host.tick(max(0, 3 - cycle))
            assert host.status == {"failed", "draining"}
            host.drive(index=0, bus_idle=1)
            assert host.error == (ErrorCode.ABORTED, 5, 0)
            await host.tick(2)
            await host.rest({"failed"})
            await host.pulse("clear")
            await host.start()  # and the next job is not aborted
            await host.tick(10)
            await host.pulse("finished")
            assert host.status == {"done"}
            await host.pulse("clear")

    run(script)


@pytest.mark.parametrize("limit", [1, 2, 20])
def test_watchdog(limit: int) -> None:
    """Fires after `limit` cycles without progress, not one before; progress starts the count anew."""
    rng = seeded(limit)

    async def script(host: Host) -> None:
        host.drive(watchdog_cycles=limit, index=9)
        await host.start()
        for _ in range(20):
            host.drive(progress=0)
            await host.tick(rng.randrange(limit))
            assert host.status == {"busy"}
            host.drive(progress=1)
            await host.tick(rng.randint(1, 3))
        host.drive(progress=0, bus_idle=0)
        await host.tick(limit)
        assert host.status == {"busy"}
        await host.tick()
        assert host.status == {"failed", "draining"}
        assert host.error == (ErrorCode.WATCHDOG, 9, 0)
        # A bus that never answers leaves it there.
        await host.tick(100)
        assert host.status == {"failed", "draining"}
        assert host.seen["flush"] == 1
        host.drive(bus_idle=1)
        await host.tick(2)
        await host.rest({"failed"})

    run(script)


def test_watchdog_watches_a_finished_job() -> None:
    async def script(host: Host) -> None:
        host.drive(watchdog_cycles=10, quiet=0)
        await host.start()
        await host.pulse("finished")
        host.drive(progress=0)
        await host.tick(20)
        assert host.error[0] is ErrorCode.WATCHDOG

    run(script)


def test_watchdog_of_zero_is_off_and_time_between_jobs_does_not_count() -> None:
    async def script(host: Host) -> None:
        host.drive(progress=0)
        await host.start()
        await host.tick(500)
        assert host.status == {"busy"}
        await host.pulse("finished")
        await host.pulse("clear")
        host.drive(watchdog_cycles=8)
        await host.tick(50)
        await host.start()
        await host.tick(5)
        assert host.status == {"busy"}

    run(script)


TABLE_RULES: list[tuple[dict[str, int], ErrorCode]] = [
    ({"descriptor_count": 0}, ErrorCode.BAD_DESCRIPTOR),
    ({"descriptor_count": 1 << 16}, ErrorCode.BAD_DESCRIPTOR),
    ({"descriptor_count": 1 << 31}, ErrorCode.BAD_DESCRIPTOR),
    ({"descriptor_count": (1 << 32) - 1}, ErrorCode.BAD_DESCRIPTOR),
    ({"descriptor_count": 0, "descriptor_offset": 1}, ErrorCode.BAD_DESCRIPTOR),
    ({"descriptor_offset": 65}, ErrorCode.DRAM_RANGE),
    ({"descriptor_offset": 96}, ErrorCode.DRAM_RANGE),
    ({"descriptor_offset": MEMORY_SIZE}, ErrorCode.DRAM_RANGE),
    ({"descriptor_offset": MEMORY_SIZE - 3 * DESCRIPTOR_BYTES}, ErrorCode.DRAM_RANGE),
    ({"descriptor_offset": (1 << 32) - DESCRIPTOR_BYTES, "memory_size": (1 << 32) - 1}, ErrorCode.DRAM_RANGE),
    ({"memory_size": 64 + 4 * DESCRIPTOR_BYTES - 1}, ErrorCode.DRAM_RANGE),
    ({"memory_size": 0}, ErrorCode.DRAM_RANGE),
    ({"descriptor_offset": MEMORY_SIZE - 4 * DESCRIPTOR_BYTES}, ErrorCode.NONE),
    ({"descriptor_offset": 0, "memory_size": 4 * DESCRIPTOR_BYTES}, ErrorCode.NONE),
    ({"descriptor_count": 65535, "memory_size": 65536 * DESCRIPTOR_BYTES}, ErrorCode.NONE),
    ({"descriptor_count": 65535, "memory_size": 65536 * DESCRIPTOR_BYTES - 1}, ErrorCode.DRAM_RANGE),
    ({"descriptor_count": 1}, ErrorCode.NONE),
    # The window ends inside the address space of the bus, 32 bits here.
    ({"memory_base": (1 << 32) - MEMORY_SIZE}, ErrorCode.NONE),
    ({"memory_base": (1 << 32) - MEMORY_SIZE + 4096}, ErrorCode.DRAM_RANGE),
    ({"memory_base": 1 << 32}, ErrorCode.DRAM_RANGE),
    ({"memory_base": (1 << 64) - 4096}, ErrorCode.DRAM_RANGE),
]


@pytest.mark.parametrize(("registers", "code"), TABLE_RULES)
def test_rules_of_the_descriptor_table(registers: dict[str, int], code: ErrorCode) -> None:
    async def script(host: Host) -> None:
        host.drive(**registers)
        if code is ErrorCode.NONE:
            await host.start()
            await host.tick(5)
            assert host.status == {"busy"}
            return
        await host.pulse("start")
        assert host.status == {"busy"}
        assert host.read("error_event") == 1
        await host.tick()
        table = registers.get("memory_base", 0) + registers.get("descriptor_offset", 64)
        assert host.error == (code, 0, table % (1 << 64))
        assert host.status == {"failed", "draining"}
        await host.tick(2)
        await host.rest({"failed"})
        assert host.seen == {"fetch_start": 0, "flush": 1, "done_event": 0, "error_event": 1}

    run(script)


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        JobControl(config=PRESETS)  # type: ignore[arg-type]
