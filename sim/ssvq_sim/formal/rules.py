"""What proofs of several components say and assume in the same words."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Const, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib import stream

from .proof import any_in_every_cycle


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


class InOrder:
    """Words that leave are those that came, each once and in their order, as a token shows.

    Words are numbered, from 0 again after as many as `numbers`: at least `most`, and better a multiple of the rows of a
    memory that they are in, as its addresses are what the proof has to find. A word may pass in the cycle in which it
    comes when `through`, and no other is there.

    inside : words that have come and not left
    first, after : number of the next that leaves and the next that comes
    place : number of the token
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
        numbers = numbers or most
        self.inside = Signal(range(most + 2), name=f"{name}_inside")
        self.first, self.after, self.place = (
            Signal(range(numbers), name=f"{name}_{part}") for part in ("first", "after", "place")
        )
        passes, leaves = Signal(name=f"{name}_passes"), Signal(name=f"{name}_leaves")
        m.d.comb += [passes.eq(given & (self.inside == 0)), leaves.eq(given & ~passes & (self.first == self.place))]
        self.token = token = Token(m, taken & ~passes, payload, leaves, f"{name}_token")
        m.d.sync += self.inside.eq(self.inside + taken - given)
        for number, goes_on in ((self.first, given & ~passes), (self.after, taken & ~passes)):
            with m.If(goes_on):
                m.d.sync += number.eq(Mux(number == numbers - 1, 0, number + 1))
        with m.If(token.enters):
            m.d.sync += self.place.eq(self.after)
        m.d.comb += [
            Assert(self.inside <= most),
            Assert(~passes | (taken & (offered == payload) if through else Const(0))),
            Assert(~(token.there & leaves) | (offered == token.kept)),
        ]
