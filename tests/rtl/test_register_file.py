# amaranth: UnusedElaboratable=no
from typing import Any

import pytest

from ssvq_gen.config import PRESETS
from ssvq_gen.registers import COUNTERS, REGISTER_BY_NAME, REGISTERS, TRAFFIC_COUNTERS, Access
from ssvq_rtl.register_file import RegisterFile
from ssvq_sim.stream_bench import Bench, run_benches, seeded

CONFIG = PRESETS["base"]
LATENCY = 1
PULSES = ("start", "clear", "abort")


async def read(ctx: Any, dut: RegisterFile, name: str | int) -> int:
    ctx.set(dut.bus.read_addr, name if isinstance(name, int) else REGISTER_BY_NAME[name].offset)
    ctx.set(dut.bus.read_en, 1)
    await ctx.tick()
    ctx.set(dut.bus.read_en, 0)
    return int(ctx.get(dut.bus.read_data))


async def write(ctx: Any, dut: RegisterFile, name: str | int, value: int, mask: int = 0xF) -> None:
    ctx.set(dut.bus.write_addr, name if isinstance(name, int) else REGISTER_BY_NAME[name].offset)
    ctx.set(dut.bus.write_data, value)
    ctx.set(dut.bus.write_mask, mask)
    ctx.set(dut.bus.write_en, 1)
    await ctx.tick()
    ctx.set(dut.bus.write_en, 0)


def run(dut: RegisterFile, bench: Bench) -> None:
    run_benches(dut, bench, cycles=2000)


def writable() -> list[str]:
    return [r.name for r in REGISTERS if r.access is Access.RW]


def mask_of(name: str) -> int:
    return 0xFFFF_F000 if name == "MEMORY_BASE_LO" else REGISTER_BY_NAME[name].mask


def test_reads_constants_and_what_the_core_reports() -> None:
    rng = seeded(1)
    dut = RegisterFile(config=CONFIG)
    counters = {name: rng.getrandbits(32) for name, _ in COUNTERS + TRAFFIC_COUNTERS}
    addr = rng.getrandbits(64)

    async def bench(ctx: Any) -> None:
        for name, value in counters.items():
            ctx.set(dut.counters[name.lower()], value)
        for member, value in (
            ("error_code", 7),
            ("error_descriptor", 0xBEEF),
            ("descriptors_done", 0x1234),
            ("profile_data", 0x8765_4321),
        ):
            ctx.set(getattr(dut, member), value)
        ctx.set(dut.error_addr, addr)
        expected = counters | {
            "ID": REGISTER_BY_NAME["ID"].init,
            "VERSION": REGISTER_BY_NAME["VERSION"].init,
            "DIGEST_LO": CONFIG.digest & 0xFFFF_FFFF,
            "DIGEST_HI": CONFIG.digest >> 32,
            "ERROR_CODE": 7,
            "ERROR_DESCRIPTOR": 0xBEEF,
            "DESCRIPTORS_DONE": 0x1234,
            "PROFILE_DATA": 0x8765_4321,
            "ERROR_ADDR_LO": addr & 0xFFFF_FFFF,
            "ERROR_ADDR_HI": addr >> 32,
            "CONTROL": 0,
        }
        for name, value in expected.items():
            assert await read(ctx, dut, name) == value, name
            await write(ctx, dut, name, 0xFFFF_FFF8)
            assert await read(ctx, dut, name) == value, name
        known = {r.offset for r in REGISTERS}
        for offset in (o for o in range(0, 0x200, 4) if o not in known):
            await write(ctx, dut, offset, 0xFFFF_FFFF)
            assert await read(ctx, dut, offset) == 0
        for member, bit in (("busy", "BUSY"), ("done", "DONE"), ("error", "ERROR"), ("draining", "DRAINING")):
            ctx.set(getattr(dut, member), 1)
            assert await read(ctx, dut, "STATUS") == REGISTER_BY_NAME["STATUS"].bit(bit)
            ctx.set(getattr(dut, member), 0)

    run(dut, bench)


def test_writes_honour_strobes_and_reach_the_core() -> None:
    rng = seeded(2)
    dut = RegisterFile(config=CONFIG)
    values = {name: REGISTER_BY_NAME[name].init for name in writable()}

    async def bench(ctx: Any) -> None:
        for name in values:
            assert await read(ctx, dut, name) == values[name]
        for _ in range(100):
            name, value, strobe = rng.choice(list(values)), rng.getrandbits(32), rng.getrandbits(4)
            await write(ctx, dut, name, value, strobe)
            bits = sum(0xFF << (8 * n) for n in range(4) if strobe >> n & 1) & mask_of(name)
            values[name] = (values[name] & ~bits) | (value & bits)
            assert ctx.get(dut.memory_base) == values["MEMORY_BASE_HI"] << 32 | values["MEMORY_BASE_LO"]
            assert ctx.get(dut.memory_size) == values["MEMORY_SIZE"]
            assert ctx.get(dut.descriptor_offset) == values["DESCRIPTOR_OFFSET"]
            assert ctx.get(dut.descriptor_count) == values["DESCRIPTOR_COUNT"]
            assert ctx.get(dut.watchdog_cycles) == values["WATCHDOG_CYCLES"]
            assert ctx.get(dut.profile_addr) == values["PROFILE_ADDR"]
            assert await read(ctx, dut, name) == values[name]

    run(dut, bench)


@pytest.mark.parametrize("state", ["busy", "draining"])
def test_parameters_cannot_change_under_a_job(state: str) -> None:
    dut = RegisterFile(config=CONFIG)

    async def bench(ctx: Any) -> None:
        ctx.set(getattr(dut, state), 1)
        for name in writable():
            await write(ctx, dut, name, 0xFFFF_FFFF)
            expected = mask_of(name) if name == "IRQ_ENABLE" else REGISTER_BY_NAME[name].init
            assert await read(ctx, dut, name) == expected, name

    run(dut, bench)


@pytest.mark.parametrize("state", ["done", "error"])
def test_a_profile_can_be_read_after_its_job(state: str) -> None:
    """As on the core: the data follow the address by a cycle."""
    dut = RegisterFile(config=CONFIG)

    async def memory(ctx: Any) -> None:
        async for _, _, addr in ctx.tick().sample(dut.profile_addr):
            ctx.set(dut.profile_data, ~addr & 0xFFFF_FFFF)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.busy, 1)
        await write(ctx, dut, "PROFILE_ADDR", 99)
        ctx.set(dut.busy, 0)
        ctx.set(getattr(dut, state), 1)
        for addr in (0, 1, 16 * CONFIG.profile_depth - 1):
            await write(ctx, dut, "PROFILE_ADDR", addr)
            await ctx.tick()
            assert await read(ctx, dut, "PROFILE_DATA") == ~addr & 0xFFFF_FFFF

    run_benches(dut, bench, cycles=100, background=[memory])


def test_commands_are_pulses() -> None:
    dut = RegisterFile(config=CONFIG)

    async def bench(ctx: Any) -> None:
        for name in PULSES:
            bit = REGISTER_BY_NAME["CONTROL"].bit(name.upper())
            await write(ctx, dut, "CONTROL", bit, 0b1110)
            assert not any(ctx.get(getattr(dut, other)) for other in PULSES)
            await write(ctx, dut, "CONTROL", bit)
            assert [ctx.get(getattr(dut, other)) for other in PULSES] == [other == name for other in PULSES]
            for _ in range(5):
                await ctx.tick()
                assert not any(ctx.get(getattr(dut, other)) for other in PULSES)

    run(dut, bench)


def test_events_raise_the_interrupt_until_cleared() -> None:
    dut = RegisterFile(config=CONFIG)
    status = REGISTER_BY_NAME["IRQ_STATUS"]

    async def bench(ctx: Any) -> None:
        for member, name in (("done_event", "DONE"), ("error_event", "ERROR")):
            event = getattr(dut, member)
            bit = status.bit(name)
            await write(ctx, dut, "IRQ_ENABLE", 0)
            ctx.set(event, 1)
            await ctx.tick()
            ctx.set(event, 0)
            await ctx.tick().repeat(3)
            assert not ctx.get(dut.irq)
            assert await read(ctx, dut, "IRQ_STATUS") == bit
            await write(ctx, dut, "IRQ_ENABLE", bit)
            await ctx.tick().repeat(LATENCY)
            assert ctx.get(dut.irq)
            await write(ctx, dut, "IRQ_STATUS", ~bit & 0xFFFF_FFFF)
            assert await read(ctx, dut, "IRQ_STATUS") == bit
            ctx.set(event, 1)
            await write(ctx, dut, "IRQ_STATUS", bit)
            ctx.set(event, 0)
            assert await read(ctx, dut, "IRQ_STATUS") == bit, "an event at the time of its clearing is kept"
            await write(ctx, dut, "IRQ_STATUS", bit)
            await ctx.tick().repeat(LATENCY)
            assert not ctx.get(dut.irq)
            assert await read(ctx, dut, "IRQ_STATUS") == 0

    run(dut, bench)


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        RegisterFile(config={})  # type: ignore[arg-type]
