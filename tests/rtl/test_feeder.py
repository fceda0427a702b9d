# amaranth: UnusedElaboratable=no
from collections import deque
from dataclasses import dataclass
from typing import Any

import pytest
from small_configs import CONFIGS, SQUARE, TALL, WIDE, name_of

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_rtl.feeder import MIN_TILE_CYCLES, Feeder
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches, seeded, send

TOKEN_FIELDS = ("index", "first", "last", "opens")


@dataclass(frozen=True)
class Issue:
    """One activation: where it is read, what travels with it, what enters the array."""

    address: int
    token: tuple[int, int, int, int]
    activation: int

    @property
    def starts_tile(self) -> bool:
        return self.token[0] == 0

    @property
    def is_final(self) -> bool:
        return bool(self.token[2])


def issues_of(command: dict[str, int], config: CoreConfig, memory: list[int]) -> list[Issue]:
    """All activations of a command, ``for n: for k: for t``; the last tile along k is masked."""
    tiles_per_word = config.word_bytes // config.rows
    issues = []
    k_tiles = command["k_tiles"]
    for _ in range(command["n_tiles"]):
        for k in range(k_tiles):
            last = k == k_tiles - 1
            rows = command["last_rows"] if last else config.rows
            for t in range(command["tokens"]):
                address = command["source"] + t * command["input_stride"] + k // tiles_per_word
                part = memory[address] >> (8 * config.rows * (k % tiles_per_word))
                token = (t, int(k == 0), int(last), int(last and t == 0))
                issues.append(Issue(address, token, part & ((1 << (8 * rows)) - 1)))
    return issues


def earliest(issues: list[Issue], config: CoreConfig) -> list[int]:
    """Enabled cycles of the issues when nothing is missing, from the first on.

    Tiles start `MIN_TILE_CYCLES` apart, and final sums take the requantizer `requantize_groups` cycles each.
    """
    times: list[int] = []
    start = -MIN_TILE_CYCLES
    for n, issue in enumerate(issues):
        time = times[-1] + (config.requantize_groups if issues[n - 1].is_final else 1) if times else 0
        if issue.starts_tile:
            start = time = max(time, start + MIN_TILE_CYCLES)
        times.append(time)
    return times


class FeederBench:
    """Memory, array and writeback around a feeder.

    `freeze`, `slow` and `late` are the chances that the array stands still, that weights are missing, and that channel
    parameters are missing in a cycle.
    """

    def __init__(self, config: CoreConfig, rng: Any, *, freeze: float, slow: float, late: float) -> None:
        self.dut = Feeder(config=config)
        self.memory = [rng.getrandbits(8 * config.word_bytes) for _ in range(config.activation_depth)]
        self.times: list[int] = []
        """Enabled cycles of the issues."""
        self.reasons: dict[str, int] = {"wait_weights": 0, "wait_accumulator": 0, "issue": 0}
        self._config, self._rng = config, rng
        self._freeze, self._slow, self._late = freeze, slow, late
        self._enabled = 0
        self._start = -MIN_TILE_CYCLES
        self._before: Issue | None = None
        self._stages: tuple[Issue | None, Issue | None] = (None, None)

    def run(self, commands: list[dict[str, int]], cycles: int) -> None:
        dut = self.dut
        expected = [issue for command in commands for issue in issues_of(command, self._config, self.memory)]

        async def bench(ctx: Any) -> None:
            waiting = deque(expected)
            trailing = 0
            while trailing < TRAILING_CYCLES:
                trailing += not waiting
                await self._cycle(ctx, waiting)
            assert not ctx.get(dut.busy)
            assert not ctx.get(dut.error)

        async def source(ctx: Any) -> None:
            await send(ctx, dut.commands, commands, rng=self._rng)

        async def memory(ctx: Any) -> None:
            async for _, _, enable, address in ctx.tick().sample(dut.read_en, dut.read_addr):
                if enable:
                    ctx.set(dut.read_data, self.memory[address])

        run_benches(dut, bench, cycles=cycles, background=(source, memory))

    async def _cycle(self, ctx: Any, waiting: deque[Issue]) -> None:
        dut, rng = self.dut, self._rng
        enable, loaded, ready = (rng.random() >= chance for chance in (self._freeze, self._slow, self._late))
        ctx.set(dut.enable, enable)
        ctx.set(dut.row_loaded, loaded)
        ctx.set(dut.parameters_ready, ready)
        state = {name: ctx.get(getattr(dut, name)) for name in self.reasons}
        assert sum(state.values()) == ctx.get(dut.busy), "exactly one reason in every busy cycle"
        for name, value in state.items():
            self.reasons[name] += value
        issued = None
        if state["issue"]:
            assert waiting, "an activation after the last one"
            issued = waiting.popleft()
            assert enable
            assert (ctx.get(dut.read_en), ctx.get(dut.read_addr)) == (1, issued.address)
            self._check_start(ctx, issued, loaded=loaded, ready=ready)
        else:
            assert (ctx.get(dut.read_en), ctx.get(dut.starts_tile), ctx.get(dut.claim)) == (0, 0, 0)
        self._check_stages(ctx)
        await ctx.tick()
        if enable:
            self._stages = (issued, self._stages[0])
            self._enabled += 1

    def _check_start(self, ctx: Any, issued: Issue, *, loaded: bool, ready: bool) -> None:
        starts = issued.starts_tile
        assert ctx.get(self.dut.starts_tile) == starts
        assert ctx.get(self.dut.claim) == (starts and issued.is_final)
        if starts:
            assert loaded
            assert ready or not issued.is_final
            assert self._enabled - self._start >= MIN_TILE_CYCLES
            self._start = self._enabled
        if self._before is not None and self._before.is_final:
            assert self._enabled - self.times[-1] >= self._config.requantize_groups
        self._before = issued
        self.times.append(self._enabled)

    def _check_stages(self, ctx: Any) -> None:
        """The token comes one enabled cycle after the issue, the activation two; both stay while nothing advances."""
        after_one, after_two = self._stages
        if after_one is not None:
            token = ctx.get(self.dut.token)
            assert tuple(int(token[name]) for name in TOKEN_FIELDS) == after_one.token
        if after_two is not None:
            assert ctx.get(self.dut.activation) == after_two.activation


def command_of(config: CoreConfig, rng: Any, **fixed: int) -> dict[str, int]:
    """Strides may be larger than the input needs, or zero: the same activation again."""
    command = {
        "tokens": rng.choice((1, 2, 3, config.accumulator_depth)),
        "k_tiles": rng.randint(1, 5),
        "n_tiles": rng.randint(1, 3),
        "last_rows": rng.choice((1, config.rows, rng.randint(1, config.rows))),
    } | fixed
    words = -(-command["k_tiles"] * config.rows // config.word_bytes)
    longest = (config.activation_depth - words) // max(1, command["tokens"] - 1)
    stride = rng.choice((words, 0, rng.randint(0, min(longest, 65535))))
    used = (command["tokens"] - 1) * stride + words
    return {"input_stride": stride, "source": rng.choice((0, config.activation_depth - used))} | command


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
@pytest.mark.parametrize(
    ("freeze", "slow", "late"), [(0.0, 0.0, 0.0), (0.4, 0.0, 0.0), (0.0, 0.6, 0.0), (0.0, 0.0, 0.9), (0.3, 0.3, 0.5)]
)
def test_feeds(config: CoreConfig, freeze: float, slow: float, late: float) -> None:
    rng = seeded(80)
    commands = [command_of(config, rng) for _ in range(8)]
    bench = FeederBench(config, rng, freeze=freeze, slow=slow, late=late)
    work = sum(c["tokens"] * c["k_tiles"] * c["n_tiles"] for c in commands) * config.requantize_groups
    bench.run(commands, cycles=int(4 * work / (1 - freeze) / (1 - slow) / (1 - late)) + 500)
    assert bench.reasons["issue"] == len(bench.times)
    assert (bench.reasons["wait_weights"] > 0) == (freeze + slow + late > 0)


@pytest.mark.parametrize("tokens", [1, 2, 3, 4])
@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_full_rate(config: CoreConfig, tokens: int) -> None:
    """Every activation comes as early as accumulators and requantizer allow."""
    rng = seeded(81)
    command = command_of(config, rng, tokens=tokens, k_tiles=6, n_tiles=2)
    bench = FeederBench(config, rng, freeze=0.0, slow=0.0, late=0.0)
    bench.run([command], cycles=1000)
    expected = earliest(issues_of(command, config, bench.memory), config)
    assert [time - bench.times[0] for time in bench.times] == expected


@pytest.mark.parametrize("config", [SQUARE, TALL, WIDE], ids=name_of)
@pytest.mark.parametrize(
    ("where", "good"), [("end", 5), ("first", 0), ("wrap", 0), ("stride", 1), ("last_word", 3), ("long_stride", 2)]
)
def test_addresses_outside_the_memory(config: CoreConfig, where: str, good: int) -> None:
    """Activations up to the end are issued, the next address is reported, nothing is read any more."""
    depth, tiles = config.activation_depth, config.word_bytes // config.rows
    command, bad = {
        "end": ({"source": depth - 5, "tokens": 8, "input_stride": 1}, depth),
        "first": ({"source": depth, "tokens": 1, "input_stride": 1}, depth),
        "wrap": ({"source": (1 << 32) - 1, "tokens": 3, "input_stride": 1}, (1 << 32) - 1),
        "stride": ({"source": 1, "tokens": 3, "input_stride": 65535}, 65536),
        "last_word": ({"source": depth - 1, "tokens": 3, "k_tiles": tiles + 1, "input_stride": 0}, depth),
        "long_stride": ({"source": 0, "tokens": 8, "input_stride": depth - 1}, 2 * depth - 2),
    }[where]
    if where == "last_word":
        good = 3 * tiles
    command = {"k_tiles": 1, "n_tiles": 1, "last_rows": 1} | command
    dut = Feeder(config=config)
    issues = 0

    async def bench(ctx: Any) -> None:
        nonlocal issues
        ctx.set(dut.enable, 1)
        ctx.set(dut.row_loaded, 1)
        ctx.set(dut.parameters_ready, 1)
        ctx.set(dut.commands.payload, command)
        ctx.set(dut.commands.valid, 1)
        await ctx.tick()
        ctx.set(dut.commands.valid, 0)
        while not ctx.get(dut.error):
            issues += ctx.get(dut.read_en)
            assert not ctx.get(dut.read_en) or ctx.get(dut.read_addr) < depth
            await ctx.tick()
        for _ in range(TRAILING_CYCLES):
            assert (ctx.get(dut.error), ctx.get(dut.error_addr)) == (1, bad)
            assert not ctx.get(dut.read_en)
            assert not ctx.get(dut.issue)
            await ctx.tick()

    run_benches(dut, bench, cycles=300)
    assert issues == good


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        Feeder(config=PRESETS)  # type: ignore[arg-type]
