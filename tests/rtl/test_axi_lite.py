# amaranth: UnusedElaboratable=no
from typing import Any

import pytest

from ssvq_rtl.axi_lite import AxiLiteSlave
from ssvq_sim.axi_bench import OKAY
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded

WORDS = 16


class RegisterModel:
    """Registers behind the bus; `read_data` is only right in the cycle after `read_en`."""

    def __init__(self, dut: AxiLiteSlave, rng: Any) -> None:
        self.words = {4 * n: rng.getrandbits(32) for n in range(WORDS)}
        self.writes: list[tuple[int, int, int]] = []
        self.reads: list[int] = []
        self._bus, self._rng = dut.bus, rng

    async def run(self, ctx: Any) -> None:
        bus = self._bus
        while True:
            _, _, write, wa, wd, wm, read, ra = await ctx.tick().sample(
                bus.write_en, bus.write_addr, bus.write_data, bus.write_mask, bus.read_en, bus.read_addr
            )
            if read:
                self.reads.append(ra)
            ctx.set(bus.read_data, self.words[ra] if read else self._rng.getrandbits(32))
            if write:
                self.writes.append((wa, wd, wm))


async def channel(
    ctx: Any, axi: Any, prefix: str, names: tuple[str, ...], items: list[Any], rng: Any, idle: float
) -> None:
    """Drive one channel of the manager."""
    for item in items:
        while rng.random() < idle:
            await ctx.tick()
        for name, value in zip(names, item, strict=True):
            ctx.set(getattr(axi, name), value)
        ctx.set(getattr(axi, f"{prefix}valid"), 1)
        ready = False
        while not ready:
            _, _, ready = await ctx.tick().sample(getattr(axi, f"{prefix}ready"))
        ctx.set(getattr(axi, f"{prefix}valid"), 0)


async def responses(ctx: Any, axi: Any, prefix: str, name: str, count: int, rng: Any, stall: float) -> list[int]:
    """Take `count` responses and check that they wait unchanged, are OKAY, and that no other follows."""
    taken: list[int] = []
    waiting, trailing = None, 0
    while trailing < TRAILING_CYCLES:
        ready = rng.random() >= stall
        ctx.set(getattr(axi, f"{prefix}ready"), ready)
        _, _, valid, value, response = await ctx.tick().sample(
            getattr(axi, f"{prefix}valid"), getattr(axi, name), getattr(axi, f"{prefix}resp")
        )
        assert waiting is None or (valid and value == waiting)
        waiting = value if valid and not ready else None
        if valid and ready:
            assert response == OKAY
            taken.append(value)
        assert len(taken) <= count
        trailing = trailing + 1 if len(taken) == count else 0
    return taken


@pytest.mark.parametrize("stall", [0.0, 0.6])
@pytest.mark.parametrize(("addr_idle", "data_idle"), [(0.0, 0.0), (0.8, 0.0), (0.0, 0.8), (0.5, 0.5)])
def test_answers_every_access_once(stall: float, addr_idle: float, data_idle: float) -> None:
    rng = seeded(11)
    dut = AxiLiteSlave()
    axi = dut.axi
    model = RegisterModel(dut, rng)
    writes = [(rng.randrange(4 * WORDS), rng.getrandbits(32), rng.getrandbits(4)) for _ in range(40)]
    reads = [rng.randrange(4 * WORDS) for _ in range(40)]
    got: list[int] = []

    async def take_reads(ctx: Any) -> None:
        got.extend(await responses(ctx, axi, "r", "rdata", len(reads), rng, stall))

    async def take_writes(ctx: Any) -> None:
        await responses(ctx, axi, "b", "bresp", len(writes), rng, stall)

    run_benches(
        dut,
        lambda ctx: channel(ctx, axi, "aw", ("awaddr",), [(a,) for a, _, _ in writes], rng, addr_idle),
        lambda ctx: channel(ctx, axi, "w", ("wdata", "wstrb"), [w[1:] for w in writes], rng, data_idle),
        lambda ctx: channel(ctx, axi, "ar", ("araddr",), [(a,) for a in reads], rng, addr_idle),
        take_reads,
        take_writes,
        cycles=2000,
        background=(model.run,),
    )
    assert model.writes == [(a & ~3, d, m) for a, d, m in writes]
    assert model.reads == [a & ~3 for a in reads]
    assert got == [model.words[a & ~3] for a in reads]


def test_refuses_bad_address_widths() -> None:
    with pytest.raises(ValueError, match="addr_width must be from 3 to 32, not 2"):
        AxiLiteSlave(addr_width=2)
