"""Activation memory, array and writeback around a feeder, compared cycle by cycle with what it has to do."""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

from windows import places_of

from ssvq_gen.config import CoreConfig
from ssvq_rtl.feeder import MIN_TILE_CYCLES, Feeder
from ssvq_sim.stream_bench import TRAILING_CYCLES, run_benches

TOKEN_FIELDS = ("index", "first", "last", "opens")
REASONS = ("wait_weights", "wait_accumulator", "wait_activation", "issue")


@dataclass(frozen=True, kw_only=True)
class Issue:
    """One activation: where it is read, None for padding, what travels with it, what enters the array.

    `early` when it may go before the last tile column of the command before is written.
    """

    address: int | None
    token: tuple[int, int, int, int]
    activation: int
    begins: bool
    ends: bool
    early: bool

    @property
    def starts_tile(self) -> bool:
        return self.token[0] == 0

    @property
    def is_final(self) -> bool:
        return bool(self.token[2])


def issues_of(command: dict[str, int], config: CoreConfig, memory: list[int]) -> list[Issue]:
    """All activations of a command; the last tile along the input channels is masked."""
    places = list(places_of(command, config))
    issues = []
    for number, place in enumerate(places):
        rows = command["last_rows"] if place.last_channels else config.rows
        last = place.k == command["k_tiles"] - 1
        padding = int.from_bytes(bytes([command.get("padding_value", 0) & 255]) * config.rows, "little")
        part = memory[place.address] >> (8 * config.rows * place.lane) if place.inside else padding
        issues.append(
            Issue(
                address=place.address if place.inside else None,
                token=(place.t, int(place.k == 0), int(last), int(last and place.t == 0)),
                activation=part & ((1 << (8 * rows)) - 1),
                begins=number == 0,
                ends=number == len(places) - 1,
                early=(place.b, place.n) == (0, 0) and place.k < command["early_tiles"],
            )
        )
    return issues


@dataclass(frozen=True, kw_only=True)
class Chances:
    """That something is missing in a cycle."""

    freeze: float = 0.0
    """The array stands still."""
    slow: float = 0.0
    """Weights are missing."""
    late: float = 0.0
    """Channel parameters are missing."""
    denied: float = 0.0
    """The memory bank is not granted."""
    unwritten: float = 0.0
    """Outputs of the command before are missing; half as often, those of its last column alone."""
    hold: float = 0.0
    """No command may be taken."""

    def factor(self) -> float:
        """How much longer everything takes."""
        result = 1.0
        for chance in vars(self).values():
            result /= 1 - chance
        return result


class FeederBench:
    """Commands are offered without a pause.

    `pattern` freezes the array in the cycles with a 0, again and again, instead of `chances.freeze`.
    """

    def __init__(self, config: CoreConfig, rng: Any, chances: Chances, pattern: tuple[int, ...] = ()) -> None:
        self.dut = Feeder(config=config)
        self.memory = [rng.getrandbits(8 * config.word_bytes) for _ in range(config.activation_depth)]
        self.times: list[int] = []
        """Enabled cycles of the issues."""
        self.reasons: Counter[str] = Counter()
        self._config, self._rng, self._chances, self._pattern = config, rng, chances, pattern
        self._cycles = self._enabled = 0
        self._accumulated: dict[int, int] = {}
        """Enabled cycle in which the activation of an accumulator was issued last."""
        self._waiting: deque[Issue] = deque()
        """Of the command in hand."""
        self._index = 0
        self._before: Issue | None = None
        self._stages: tuple[Issue | None, Issue | None] = (None, None)

    def run(self, commands: list[dict[str, int]]) -> None:
        dut = self.dut

        async def bench(ctx: Any) -> None:
            upcoming = deque(commands)
            trailing = 0
            while trailing < TRAILING_CYCLES:
                trailing += not upcoming and not self._waiting
                await self._cycle(ctx, upcoming)
            assert not ctx.get(dut.busy)
            assert not ctx.get(dut.error)

        work = sum((c["batch_last"] + 1) * c["n_tiles"] * c["k_tiles"] * (c["tokens"] + 3) for c in commands)
        limit = int(4 * self._config.requantize_groups * work * self._chances.factor()) + 2000
        run_benches(dut, bench, cycles=limit)

    async def _cycle(self, ctx: Any, upcoming: deque[dict[str, int]]) -> None:
        dut, chances = self.dut, self._chances
        enable = bool(self._pattern[self._cycles % len(self._pattern)] if self._pattern else self._has(chances.freeze))
        loaded, ready, granted = (self._has(chance) for chance in (chances.slow, chances.late, chances.denied))
        written = self._has(chances.unwritten)
        most_written = written or self._has(0.5)
        hold = not self._has(chances.hold)
        for signal, value in (
            (dut.enable, enable),
            (dut.row_loaded, loaded),
            (dut.parameters_ready, ready),
            (dut.all_written, written),
            (dut.most_written, most_written),
            (dut.hold, hold),
            (dut.commands.valid, bool(upcoming)),
        ):
            ctx.set(signal, value)
        if upcoming:
            ctx.set(dut.commands.payload, upcoming[0])
        busy = bool(self._waiting)
        following = self._waiting[0] if busy else None
        may_read = False
        reason = None
        if following is not None:
            last_k, first = following.is_final, following.starts_tile
            may_read = not self._waits_for_accumulators(following) and (written or (most_written and following.early))
            if not enable or (first and not (loaded and (ready or not last_k))):
                reason, may_read = "wait_weights", False
            elif self._waits_for_accumulators(following):
                reason = "wait_accumulator"
            elif following.address is None:
                reason = "issue" if may_read else "wait_activation"
            else:
                reason = "issue" if may_read and granted else "wait_activation"
        reads = following.address if following is not None and may_read else None
        assert ctx.get(dut.read.en) == (reads is not None)
        if reads is not None:
            assert ctx.get(dut.read.addr) == reads
        ctx.set(dut.read.ready, reads is not None and granted)
        self._check(ctx, following, reason, hold=hold)
        takes = bool(upcoming) and not busy and not hold
        await ctx.tick()
        self._cycles += 1
        self._enabled += enable
        issued = following if reason == "issue" else None
        # The memory shows a word for one cycle, whether the array advances or not.
        shown = issued.address if issued else None
        ctx.set(dut.read.data, self._rng.getrandbits(len(dut.read.data)) if shown is None else self.memory[shown])
        if enable:
            self._stages = (issued, self._stages[0])
        if issued is not None:
            self._waiting.popleft()
        if takes:
            command = upcoming.popleft()
            self._waiting = deque(issues_of(command, self._config, self.memory))
            self._index = command["index"]

    def _has(self, chance: float) -> bool:
        return bool(self._rng.random() >= chance)

    def _waits_for_accumulators(self, issue: Issue) -> bool:
        """Tiles of less than `MIN_TILE_CYCLES` activations have a gap behind them, so that an accumulator is used again
        after `MIN_TILE_CYCLES` at the earliest; final sums take the requantizer `requantize_groups` cycles each."""
        before = self._before
        if before is not None and issue.starts_tile:
            tokens = before.token[0] + 1
            if self._enabled - self.times[-1] <= MIN_TILE_CYCLES - tokens:
                return True
        return (
            before is not None and before.is_final and self._enabled - self.times[-1] < self._config.requantize_groups
        )

    def _check(self, ctx: Any, following: Issue | None, reason: str | None, *, hold: bool) -> None:
        dut = self.dut
        busy = following is not None
        assert ctx.get(dut.busy) == busy
        assert ctx.get(dut.commands.ready) == (not busy and not hold)
        assert {name for name in REASONS if ctx.get(getattr(dut, name))} == ({reason} if reason else set())
        assert not busy or ctx.get(dut.index) == self._index
        issued = following if reason == "issue" else None
        flags = tuple(ctx.get(getattr(dut, name)) for name in ("starts_tile", "claim", "begins", "ends"))
        if issued is None:
            assert flags == (0, 0, 0, 0)
        else:
            starts = issued.starts_tile
            assert flags == (starts, starts and issued.is_final, issued.begins, issued.ends)
            accumulator = issued.token[0]
            if not issued.token[1]:
                assert self._enabled - self._accumulated[accumulator] >= MIN_TILE_CYCLES
            self._accumulated[accumulator] = self._enabled
            self._before = issued
            self.times.append(self._enabled)
        if reason is not None:
            self.reasons[reason] += 1
        self._check_stages(ctx)

    def _check_stages(self, ctx: Any) -> None:
        """The token comes one enabled cycle after the issue, the activation two; both stay while nothing advances."""
        after_one, after_two = self._stages
        if after_one is not None:
            token = ctx.get(self.dut.token)
            assert tuple(int(token[name]) for name in TOKEN_FIELDS) == after_one.token
        if after_two is not None:
            assert ctx.get(self.dut.activation) == after_two.activation
