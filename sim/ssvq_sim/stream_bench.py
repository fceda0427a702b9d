"""Test benches of Amaranth components: stream drivers and monitors with seeded idle and back-pressure patterns."""

import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from amaranth.hdl import Elaboratable, Fragment
from amaranth.sim import Simulator

from ssvq_rtl.cells import BehaviouralCells

TRAILING_CYCLES = 40
"""Cycles after the last expected event in which nothing more may happen."""

Bench = Callable[[Any], Awaitable[None]]

_PERIOD = 1e-8
_log = logging.getLogger(__name__)


class BenchTimeoutError(AssertionError):
    """A bench did not end in the number of cycles it was given."""


def seeded(seed: int) -> random.Random:
    """A generator whose seed is in the log of the test."""
    _log.info("seed %d", seed)
    return random.Random(seed)


def run_benches(dut: Elaboratable, *benches: Bench, cycles: int, background: Iterable[Bench] = ()) -> None:
    """Simulate until all `benches` have ended; raises BenchTimeoutError after `cycles`.

    Amaranth's simulator has no vendors' cells: what they do takes their place.
    """

    async def watchdog(ctx: Any) -> None:
        await ctx.delay(cycles * _PERIOD)
        raise BenchTimeoutError(f"the bench has not ended after {cycles} cycles")

    simulator = Simulator(Fragment.get(dut, BehaviouralCells()))
    simulator.add_clock(_PERIOD)
    for bench in benches:
        simulator.add_testbench(_as_coroutine(bench))
    for bench in (*background, watchdog):
        simulator.add_testbench(_as_coroutine(bench), background=True)
    simulator.run()


def _as_coroutine(bench: Bench) -> Bench:
    """The simulator refuses lambdas that return coroutines."""

    async def run(ctx: Any) -> None:
        await bench(ctx)

    return run


async def send(ctx: Any, port: Any, items: Iterable[Any], *, rng: random.Random, idle: float = 0.0) -> None:
    """Drive payloads into a stream; before each, stay idle with probability `idle` a cycle."""
    for item in items:
        while rng.random() < idle:
            await ctx.tick()
        ctx.set(port.payload, item)
        ctx.set(port.valid, 1)
        ready = False
        while not ready:  # `until` cannot be left unfinished by a bench in the background
            _, _, ready = await ctx.tick().sample(port.ready)
        ctx.set(port.valid, 0)


class Receiver:
    """Takes payloads from a stream, not ready with probability `stall` a cycle.

    `items` are raw payload bits as integers, or what `convert` makes of the payload; `times` the cycles in which they
    were taken. A payload that changes or vanishes while it waits raises AssertionError.
    """

    def __init__(
        self, port: Any, *, rng: random.Random, stall: float = 0.0, convert: Callable[[Any], Any] | None = None
    ) -> None:
        self.items: list[Any] = []
        self.times: list[int] = []
        self.cycle = 0
        self._port = port
        self._rng = rng
        self._stall = stall
        self._convert = convert or (lambda payload: payload)

    async def run(self, ctx: Any) -> None:
        """Take payloads for ever: a background bench."""
        await self.take(ctx, None)

    async def take(self, ctx: Any, count: int | None) -> None:
        """Take `count` payloads, then check that no other follows."""
        port, waiting = self._port, None
        trailing = 0
        while count is None or len(self.items) < count or trailing < TRAILING_CYCLES:
            ready = self._rng.random() >= self._stall
            ctx.set(port.ready, ready)
            _, _, valid, payload = await ctx.tick().sample(port.valid, port.payload)
            item = self._convert(payload) if valid else None
            if waiting is not None and item != waiting:
                raise AssertionError(f"payload {waiting} became {item} while it waited")
            waiting = item if valid and not ready else None
            if valid and ready:
                if count is not None and len(self.items) == count:
                    raise AssertionError(f"payload {item} after the last expected one")
                self.items.append(item)
                self.times.append(self.cycle)
            elif count is not None and len(self.items) == count:
                trailing += 1
            self.cycle += 1
        ctx.set(port.ready, 0)
