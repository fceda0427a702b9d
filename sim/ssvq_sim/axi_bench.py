"""AXI4 subordinates for Amaranth test benches, with protocol checks, latency, back-pressure and error responses."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

OKAY, SLVERR, DECERR = 0b00, 0b10, 0b11
PAGE_BYTES = 4096
INCR = 0b01


def pattern(addr: int, count: int) -> bytes:
    """Content of a made-up DRAM: bytes that depend on their address only."""
    return bytes(((a * 0x9E3779B1) ^ (a >> 7)) >> 11 & 0xFF for a in range(addr, addr + count))


@dataclass(kw_only=True)
class _Behaviour:
    rng: random.Random
    beat_bytes: int
    max_beats: int = 16
    latency: int = 0
    stall: float = 0.0
    responses: dict[int, int] = field(default_factory=dict)
    """Response codes by byte address of the beat (reads) or of the burst (writes); others are OKAY."""

    def stalls(self) -> bool:
        return self.rng.random() < self.stall

    def check_burst(self, addr: int, length: int, size: int, burst: int) -> None:
        beats = length + 1
        end = addr + beats * self.beat_bytes - 1
        if addr % self.beat_bytes:
            raise AssertionError(f"burst at {addr:#x} is not aligned to a beat of {self.beat_bytes} bytes")
        if addr // PAGE_BYTES != end // PAGE_BYTES:
            raise AssertionError(f"burst at {addr:#x} of {beats} beats crosses {PAGE_BYTES} bytes")
        if beats > self.max_beats or 1 << size != self.beat_bytes or burst != INCR:
            raise AssertionError(f"illegal burst: {beats} beats, size {size}, type {burst}")


class _Stable:
    """Raises when a channel's payload changes or its valid falls before it was accepted."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._waiting: tuple[int, ...] | None = None

    def check(self, valid: int, ready: bool, *payload: int) -> None:
        if self._waiting is not None and (not valid or payload != self._waiting):
            raise AssertionError(f"{self._channel} changed from {self._waiting} while it waited")
        self._waiting = payload if valid and not ready else None


@dataclass(kw_only=True)
class ReadSubordinate(_Behaviour):
    """Answers AR and R of `axi`; run it as a background bench."""

    axi: Any
    memory: Callable[[int, int], bytes] = pattern
    bursts: list[tuple[int, int]] = field(default_factory=list)
    """Address and beats of every burst that was accepted."""
    accept: bool = True
    """Whether addresses are accepted; a test may change it."""

    async def run(self, ctx: Any) -> None:
        """Serve for ever."""
        axi, cycle, presenting = self.axi, 0, False
        waiting: deque[tuple[int, int, bool]] = deque()
        stable = _Stable("AR")
        while True:
            arready = self.accept and not self.stalls()
            ctx.set(axi.arready, arready)
            if waiting and waiting[0][0] <= cycle and (presenting or not self.stalls()):
                _, addr, last = waiting[0]
                presenting = True
                ctx.set(axi.rvalid, 1)
                ctx.set(axi.rdata, int.from_bytes(self.memory(addr, self.beat_bytes), "little"))
                ctx.set(axi.rresp, self.responses.get(addr, OKAY))
                ctx.set(axi.rlast, last)
            else:
                ctx.set(axi.rvalid, 0)
            _, _, arvalid, addr, length, size, burst, rready = await ctx.tick().sample(
                axi.arvalid, axi.araddr, axi.arlen, axi.arsize, axi.arburst, axi.rready
            )
            stable.check(arvalid, arready, addr, length)
            if presenting and rready:
                waiting.popleft()
                presenting = False
            if arvalid and arready:
                self.check_burst(addr, length, size, burst)
                self.bursts.append((addr, length + 1))
                waiting.extend(
                    (cycle + 1 + self.latency, addr + beat * self.beat_bytes, beat == length)
                    for beat in range(length + 1)
                )
            cycle += 1


@dataclass(kw_only=True)
class WriteSubordinate(_Behaviour):
    """Takes AW and W of `axi` and answers on B; run it as a background bench."""

    axi: Any
    written: dict[int, int] = field(default_factory=dict)
    """Bytes by address."""
    bursts: list[tuple[int, int]] = field(default_factory=list)
    """Address and beats of every burst that was accepted."""
    beat_times: list[int] = field(default_factory=list)
    accept: bool = True
    """Whether addresses are accepted; a test may change it."""

    async def run(self, ctx: Any) -> None:
        """Serve for ever."""
        axi, cycle, presenting = self.axi, 0, False
        beats: list[tuple[int, int, int]] = []
        unanswered: deque[tuple[int, int]] = deque()
        answers: deque[tuple[int, int]] = deque()
        raised = finished = 0
        aw_stable, w_stable = _Stable("AW"), _Stable("W")
        previous_raised = False
        while True:
            awready, wready = self.accept and not self.stalls(), not self.stalls()
            ctx.set(axi.awready, awready)
            ctx.set(axi.wready, wready)
            if answers and answers[0][0] <= cycle and (presenting or not self.stalls()):
                presenting = True
                ctx.set(axi.bvalid, 1)
                ctx.set(axi.bresp, self.responses.get(answers[0][1], OKAY))
            else:
                ctx.set(axi.bvalid, 0)
            _, _, awvalid, addr, length, size, burst, wvalid, data, strobe, last, bready = await ctx.tick().sample(
                axi.awvalid, axi.awaddr, axi.awlen, axi.awsize, axi.awburst,
                axi.wvalid, axi.wdata, axi.wstrb, axi.wlast, axi.bready,
            )  # fmt: skip
            aw_stable.check(awvalid, awready, addr, length)
            w_stable.check(wvalid, wready, data, strobe, last)
            if awvalid and not previous_raised:
                raised += 1
            previous_raised = bool(awvalid and not awready)
            if wvalid and finished >= raised:
                raise AssertionError("write data before its address was raised")
            if presenting and bready:
                answers.popleft()
                presenting = False
            if awvalid and awready:
                self.check_burst(addr, length, size, burst)
                self.bursts.append((addr, length + 1))
                unanswered.append((addr, length + 1))
            if wvalid and wready:
                beats.append((data, strobe, last))
                self.beat_times.append(cycle)
                finished += last
            while unanswered and len(beats) >= unanswered[0][1]:
                start, count = unanswered.popleft()
                self._store(start, beats[:count])
                del beats[:count]
                answers.append((cycle + 1 + self.latency, start))
            cycle += 1

    def _store(self, start: int, beats: list[tuple[int, int, int]]) -> None:
        for n, (data, strobe, last) in enumerate(beats):
            if last != (n == len(beats) - 1):
                raise AssertionError(f"WLAST is {last} in beat {n} of {len(beats)} of the burst at {start:#x}")
            for lane, byte in enumerate(data.to_bytes(self.beat_bytes, "little")):
                if strobe >> lane & 1:
                    addr = start + n * self.beat_bytes + lane
                    if addr in self.written:
                        raise AssertionError(f"byte {addr:#x} was written twice")
                    self.written[addr] = byte
