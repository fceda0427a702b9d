"""What proofs of several components say and assume in the same words."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Const, Elaboratable, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib import stream

from ssvq_gen.config import MAX_BURST_BEATS, CoreConfig
from ssvq_rtl.bus import COMMAND_BEATS_WIDTH, TAG_WIDTH, bytes_of_beats

from .proof import any_in_every_cycle

PAGE_BYTES = 4096
"""No AXI burst passes a multiple of it."""


def flat(value: Any) -> Value:
    """A payload as bits."""
    return Value.cast(value)


def never_reset(m: Module) -> None:
    """Registers begin with their initial values and are not reset later."""
    m.d.comb += Assume(~ResetSignal())


def moves(interface: stream.Interface) -> Value:
    """A word passes in this cycle."""
    return interface.valid & interface.ready


def any_input(m: Module, interface: stream.Interface, name: str) -> None:
    """Offer any words in any cycles; they need not stay until they are taken."""
    m.d.comb += [
        interface.valid.eq(any_in_every_cycle(m, 1, f"{name}_valid")),
        flat(interface.payload).eq(any_in_every_cycle(m, len(flat(interface.payload)), f"{name}_payload")),
    ]


def any_ready(m: Module, interface: stream.Interface, name: str) -> None:
    """Take words in any cycles."""
    m.d.comb += interface.ready.eq(any_in_every_cycle(m, 1, f"{name}_ready"))


def before(m: Module, value: Value, name: str) -> Signal:
    """The value of the cycle before; 0 in the first."""
    register = Signal(len(value), name=f"{name}_before")
    m.d.sync += register.eq(value)
    return register


def held(m: Module, valid: Value, ready: Value, payload: Value, name: str) -> Value:
    """What waited in the cycle before is still there, unchanged."""
    waited = before(m, valid & ~ready, f"{name}_waited")
    same: Value = ~waited | (valid & (payload == before(m, payload, name)))
    return same


def assert_held(m: Module, interface: stream.Interface, name: str) -> None:
    """A word that is offered stays until it is taken."""
    m.d.comb += Assert(held(m, interface.valid, interface.ready, flat(interface.payload), name))


def within(m: Module, waits: Value, cycles: int, name: str) -> None:
    """`waits` is never high for more than `cycles` cycles after each other."""
    count = Signal(range(cycles + 2), name=f"{name}_cycles")
    with m.If(~waits):
        m.d.sync += count.eq(0)
    with m.Elif(count <= cycles):
        m.d.sync += count.eq(count + 1)
    m.d.comb += Assert(count <= cycles)


def patient(m: Module, waits: Value, cycles: int, name: str) -> Value:
    """`waits` has never been high for more than `cycles` cycles after each other, this one included: a neighbour that
    is fair so far."""
    count = Signal(range(cycles + 1), name=f"{name}_patience")
    lost = Signal(name=f"{name}_patience_lost")
    too_long = waits & (count == cycles)
    m.d.sync += [count.eq(Mux(waits, Mux(count == cycles, cycles, count + 1), 0)), lost.eq(lost | too_long)]
    fair: Value = ~(lost | too_long)
    return fair


class Token:
    """One word of a stream, of the solver's choice, followed through a component.

    enters : the word that passes at the input is the token
    there : it has entered and not left
    kept : its payload
    """

    def __init__(self, m: Module, taken: Value, payload: Value, leaves: Value, name: str = "token") -> None:
        chosen = any_in_every_cycle(m, 1, f"{name}_chosen")
        self.there = Signal(name=f"{name}_there")
        self.enters = Signal(name=f"{name}_enters")
        self.kept = Signal(len(payload), name=f"{name}_kept")
        m.d.comb += self.enters.eq(taken & chosen & ~self.there)
        with m.If(self.enters):
            m.d.sync += [self.there.eq(1), self.kept.eq(payload)]
        with m.Elif(self.there & leaves):
            m.d.sync += self.there.eq(0)


class Followed:
    """Words that are counted on their way, and one of the solver's choice.

    Words are numbered, from 0 again after as many as `numbers`: at least as many as there can be, and better a multiple
    of the rows of a memory that they are in, as its addresses are what the proof has to find. A word that leaves in the
    cycle in which it comes, with no other before it, passes and is not followed.

    inside : words that have come and not left
    passes : one leaves in the cycle in which it comes
    first, after : number of the next that leaves and the next that comes
    place : number of the token
    is_next : the token is the next that leaves
    """

    def __init__(self, m: Module, taken: Value, payload: Value, given: Value, *, numbers: int, name: str) -> None:
        self.inside = Signal(range(numbers + 2), name=f"{name}_inside")
        self.first, self.after, self.place = (
            Signal(range(numbers), name=f"{name}_{part}") for part in ("first", "after", "place")
        )
        self.passes, self.is_next = Signal(name=f"{name}_passes"), Signal(name=f"{name}_is_next")
        m.d.comb += self.passes.eq(given & (self.inside == 0))
        leaves = given & ~self.passes & (self.first == self.place)
        self.token = token = Token(m, taken & ~self.passes, payload, leaves, f"{name}_token")
        m.d.comb += self.is_next.eq(token.there & (self.first == self.place))
        m.d.sync += self.inside.eq(self.inside + taken - given)
        for number, goes_on in ((self.first, given & ~self.passes), (self.after, taken & ~self.passes)):
            with m.If(goes_on):
                m.d.sync += number.eq(Mux(number == numbers - 1, 0, number + 1))
        with m.If(token.enters):
            m.d.sync += self.place.eq(self.after)


class InOrder(Followed):
    """Words that leave are those that came, each once and in their order, as the token shows; at most `most` wait.

    A word may pass in the cycle in which it comes when `through`.
    """

    def __init__(
        self,
        m: Module,
        taken: Value,
        payload: Value,
        given: Value,
        offered: Value,
        *,
        most: int,
        numbers: int = 0,
        through: bool = False,
        name: str = "words",
    ) -> None:
        super().__init__(m, taken, payload, given, numbers=numbers or most, name=name)
        m.d.comb += [
            Assert(self.inside <= most),
            Assert(~self.passes | (taken & (offered == payload) if through else Const(0))),
            Assert(~(self.is_next & given) | (offered == self.token.kept)),
        ]


class Window:
    """Bursts of one command after the other: each begins where the one before has ended, is as long as it can be
    without passing a multiple of the longest burst, and the last ends with the command.

    `taken` and `command` are of a command that is taken, `moved` and `request` of a burst; `dropped` forgets what is
    left of a command.

    next, left : address of the next burst, and beats that are left
    beats : of the next burst
    """

    def __init__(
        self, m: Module, config: CoreConfig, taken: Value, addr: Value, beats: Value, tag: Value, moved: Value
    ) -> None:
        self._config = config
        longest = MAX_BURST_BEATS * config.beat_bytes
        self.next = Signal(config.axi_addr_width, name="window_next")
        self.end = Signal(config.axi_addr_width + 1, name="window_end")
        self.left = Signal(COMMAND_BEATS_WIDTH, name="window_left")
        self.tag = Signal(TAG_WIDTH, name="window_tag")
        self.beats = Signal(COMMAND_BEATS_WIDTH, name="window_beats")
        space = Signal(COMMAND_BEATS_WIDTH, name="window_space")
        m.d.comb += [
            space.eq((longest - self.next % longest) // config.beat_bytes),
            self.beats.eq(Mux(self.left < space, self.left, space)),
        ]
        with m.If(taken):
            m.d.sync += [self.next.eq(addr), self.left.eq(beats), self.tag.eq(tag)]
            m.d.sync += self.end.eq(addr + bytes_of_beats(config, beats))
        with m.Elif(moved):
            m.d.sync += [
                self.next.eq(self.next + bytes_of_beats(config, self.beats)),
                self.left.eq(self.left - self.beats),
            ]

    def assert_request(self, m: Module, valid: Value, addr: Value, beats: Value, tag: Value) -> None:
        """A burst that is offered is the next one, in one page and inside of the command."""
        m.d.comb += [
            Assert(~valid | (self.left != 0)),
            Assert(~valid | ((addr == self.next) & (beats == self.beats) & (tag == self.tag))),
            Assert(~valid | ((beats >= 1) & (beats <= MAX_BURST_BEATS))),
            Assert(~valid | (addr % PAGE_BYTES + bytes_of_beats(self._config, beats) <= PAGE_BYTES)),
            Assert(~valid | (addr + bytes_of_beats(self._config, beats) <= self.end)),
            # What an induction needs besides.
            Assert((self.left == 0) | (self.end == self.next + bytes_of_beats(self._config, self.left))),
            Assert(self.end <= 1 << self._config.axi_addr_width),
            Assert(self.next % self._config.beat_bytes == 0),
        ]


class Shown(Elaboratable):
    """A harness that sees signals inside of the component: `shows` has their widths by path."""

    def __init__(self, config: CoreConfig, shows: dict[str, int]) -> None:
        self._config = config
        self.probes = {path.replace(".", "_"): f"dut.{path}" for path in shows}
        for path, width in shows.items():
            name = path.replace(".", "_")
            setattr(self, name, Signal(width, name=name))

    def see(self, path: str) -> Signal:
        signal: Signal = getattr(self, path.replace(".", "_"))
        return signal
