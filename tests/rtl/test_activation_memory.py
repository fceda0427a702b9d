import itertools
from typing import Any

import pytest
from amaranth.back import verilog
from small_configs import CONFIGS, SQUARE, name_of

from ssvq_gen.config import ACTIVATION_BANKS, PRESETS, CoreConfig
from ssvq_rtl.activation_memory import MAX_CLIENTS, ActivationMemory
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded

Request = tuple[int, int, int]
"""Address, data, mask; the last two are zero for a read."""


class Model:
    """The memory in prose: words, and who is granted."""

    def __init__(self, config: CoreConfig) -> None:
        self.words = [0] * config.activation_depth
        self._lane_bits = 8 * config.requantize_lanes

    @staticmethod
    def granted(requests: list[Request | None]) -> list[bool]:
        """The first request for a bank wins it."""
        taken: set[int] = set()
        grants = []
        for request in requests:
            bank = request[0] % ACTIVATION_BANKS if request else None
            grants.append(bank is not None and bank not in taken)
            if bank is not None:
                taken.add(bank)
        return grants

    def write(self, address: int, data: int, mask: int) -> None:
        lanes = (1 << self._lane_bits) - 1
        bits = sum(lanes << (self._lane_bits * i) for i in range(mask.bit_length()) if mask >> i & 1)
        self.words[address] = self.words[address] & ~bits | data & bits


class Bench:
    """One cycle at a time: requests in, grants and the words of the cycle before compared with the model."""

    def __init__(self, config: CoreConfig, *, readers: int, writers: int) -> None:
        self.dut = ActivationMemory(config=config, readers=readers, writers=writers)
        self.model = Model(config)
        self._readers, self._writers = readers, writers

    async def cycle(
        self, ctx: Any, reads: list[Request | None], writes: list[Request | None]
    ) -> tuple[list[bool], list[bool]]:
        """Returns the grants of reads and writes, after checking them and the words read."""
        model = self.model
        ports = [self.dut.reads[i] for i in range(self._readers)], [self.dut.writes[i] for i in range(self._writers)]
        for port, request in zip(ports[0] + ports[1], reads + writes, strict=True):
            ctx.set(port.en, request is not None)
            if request is not None:
                ctx.set(port.addr, request[0])
        for port, request in zip(ports[1], writes, strict=True):
            if request is not None:
                ctx.set(port.data, request[1])
                ctx.set(port.mask, request[2])
        grants = model.granted(reads), model.granted(writes)
        assert tuple([bool(ctx.get(p.ready)) for p in side] for side in ports) == grants
        expected = [
            model.words[request[0]] if request and granted else None
            for request, granted in zip(reads, grants[0], strict=True)
        ]
        for request, granted in zip(writes, grants[1], strict=True):
            if request and granted:
                model.write(*request)
        await ctx.tick()
        for port in ports[0]:
            ctx.set(port.addr, ctx.get(port.addr) ^ 1)  # the next request is no concern of the word
        for port, word in zip(ports[0], expected, strict=True):
            if word is not None:
                assert ctx.get(port.data) == word
        return grants


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
@pytest.mark.parametrize(("readers", "writers"), [(3, 2), (1, 1), (2, 3)])
def test_random_traffic(config: CoreConfig, readers: int, writers: int) -> None:
    """Few addresses, so that requests meet in words and banks; requests repeat, change or go as they like."""
    rng = seeded(3)
    bench = Bench(config, readers=readers, writers=writers)
    masks = config.word_bytes // config.requantize_lanes
    depth = config.activation_depth
    addresses = [0, 1, 2, depth // 2, depth - 2, depth - 1]

    def write() -> Request:
        mask = rng.choice((0, (1 << masks) - 1, 1 << rng.randrange(masks), rng.getrandbits(masks)))
        return rng.choice(addresses), rng.getrandbits(8 * config.word_bytes), mask

    async def run(ctx: Any) -> None:
        granted = 0
        for _ in range(500):
            load = rng.choice((0.1, 0.5, 0.9))
            reads: list[Request | None] = [
                (rng.choice(addresses), 0, 0) if rng.random() < load else None for _ in range(readers)
            ]
            writes = [write() if rng.random() < load else None for _ in range(writers)]
            for grants in await bench.cycle(ctx, reads, writes):
                granted += sum(grants)
        assert granted > 500

    run_benches(bench.dut, run, cycles=600)


def test_every_word_is_kept() -> None:
    """Written by two writers side by side, read by two readers side by side: a word a cycle each, as many as ever."""
    rng = seeded(4)
    depth = SQUARE.activation_depth
    everything = (1 << SQUARE.word_bytes // SQUARE.write_lanes) - 1
    bench = Bench(SQUARE, readers=2, writers=2)

    async def run(ctx: Any) -> None:
        words = [rng.getrandbits(8 * SQUARE.word_bytes) for _ in range(depth)]
        for even in range(0, depth, 2):
            pair: list[Request | None] = [(even + i, words[even + i], everything) for i in range(2)]
            _, granted = await bench.cycle(ctx, [None, None], pair)
            assert granted == [True, True]
        assert bench.model.words == words
        taken = [0, 0]
        for even in range(0, depth, 2):
            granted, _ = await bench.cycle(ctx, [(even + 1, 0, 0), (even, 0, 0)], [None, None])
            taken = [count + got for count, got in zip(taken, granted, strict=True)]
        assert taken == [depth // 2] * 2, "cycles"
        for _ in range(TRAILING_CYCLES):
            await bench.cycle(ctx, [None, None], [None, None])
        assert bench.model.words == words

    run_benches(bench.dut, run, cycles=depth + 2 * TRAILING_CYCLES)


def test_lower_indices_come_first() -> None:
    """All want one bank: only the first of those that ask is served. Another bank is not concerned."""
    clients = 4
    bench = Bench(SQUARE, readers=clients, writers=clients)

    async def run(ctx: Any) -> None:
        for asking in itertools.product((False, True), repeat=clients):
            same: list[Request | None] = [(2 * i, i, 1) if asks else None for i, asks in enumerate(asking)]
            reads, writes = await bench.cycle(ctx, same, same)
            first = [asks and not any(asking[:i]) for i, asks in enumerate(asking)]
            assert reads == writes == first
            if asking[-1]:
                apart = [*same[:-1], (1, 0, 1)]
                reads, writes = await bench.cycle(ctx, apart, apart)
                assert reads[-1]
                assert writes[-1]

    run_benches(bench.dut, run, cycles=100)


def test_readers_do_not_disturb_each_other() -> None:
    """Each reader alternates between banks in its own way, and gets its own word every cycle."""
    bench = Bench(SQUARE, readers=2, writers=1)
    everything = (1 << SQUARE.word_bytes // SQUARE.write_lanes) - 1

    async def run(ctx: Any) -> None:
        for address in range(4):
            await bench.cycle(ctx, [None, None], [(address, 0x1111 * (address + 1), everything)])
        for cycle in range(64):
            one = cycle >> 1 & 1
            granted, _ = await bench.cycle(ctx, [(one, 0, 0), (2 + (1 - one), 0, 0)], [None])
            assert granted == [True, True]

    run_benches(bench.dut, run, cycles=100)


@pytest.mark.parametrize("config", [PRESETS["tiny"], *CONFIGS], ids=name_of)
def test_converts_to_verilog(config: CoreConfig) -> None:
    text = verilog.convert(ActivationMemory(config=config, readers=3, writers=2), emit_src=False)
    depth = config.activation_depth // ACTIVATION_BANKS
    for bank in range(ACTIVATION_BANKS):
        assert f"reg [{8 * config.word_bytes - 1}:0] bank{bank} [{depth - 1}:0];" in text


def test_refuses_other_arguments() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        ActivationMemory(config=PRESETS, readers=1, writers=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"readers must be from 1 to {MAX_CLIENTS}, not 0"):
        ActivationMemory(config=SQUARE, readers=0, writers=1)
    with pytest.raises(ValueError, match=f"writers must be from 1 to {MAX_CLIENTS}, not 9"):
        ActivationMemory(config=SQUARE, readers=1, writers=9)
    with pytest.raises(TypeError, match="readers must be an integer"):
        ActivationMemory(config=SQUARE, readers="2", writers=1)  # type: ignore[arg-type]
