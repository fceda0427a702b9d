"""What is to be proved: a component with its properties, and the way to a proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Elaboratable, Module, Signal


class Method(StrEnum):
    """How a proof is looked for."""

    INDUCTION = "k-induction"
    """For all cycles: in the first `depth` ones, and whenever it held in the `depth` cycles before (sby, Yices)."""
    BOUNDED = "bounded"
    """In the first `depth` cycles and no others (sby, Yices)."""
    EXHAUSTIVE = "exhaustive"
    """For all values of inputs, where registers play no part (sby, Yices)."""
    PDR = "pdr"
    """For all cycles: property directed reachability, which finds its invariants itself (ABC)."""
    STRUCTURE = "structure"
    """About wires and cells, whatever their values (selections of Yosys)."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Properties of a component, and how they are proved.

    Parameters
    ----------
    name : on the command line
    claim : what holds when it is proved
    build : the component with its properties; anything that it leaves undriven can have any value in any cycle
    method : how it is proved
    depth : cycles that are looked at, see `Method`; 0 where there is nothing to choose
    quick : it takes seconds, and is part of `--quick`
    subject : submodule that the properties are about, which mutants change; empty where these say too little of it to
        judge mutants
    component : what the subject is, where several proofs are about the same; a mutant of it has to pass all of them
    models : Verilog of cells by file name
    probes : signals of the component that show others inside of it: paths by attribute
    cuts : paths of signals that lose what drives them, and may have any value in any cycle
    checks : Yosys commands of a STRUCTURE, which fail where it does not hold
    """

    name: str
    claim: str
    build: Callable[[], Any]
    method: Method
    depth: int = 0
    quick: bool = True
    subject: str = "dut"
    component: str = ""
    models: Mapping[str, str] = field(default_factory=dict)
    probes: Mapping[str, str] = field(default_factory=dict)
    cuts: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.method is Method.STRUCTURE) != bool(self.checks):
            raise ValueError(f"{self.name}: checks are for {Method.STRUCTURE} and no other method, not {self.method}")
        if (self.depth > 0) != (self.method in (Method.INDUCTION, Method.BOUNDED)):
            raise ValueError(f"{self.name}: depth is for induction and bounded proofs, not {self.depth} {self.method}")


def any_in_every_cycle(m: Module, shape: Any, name: str = "any_in_every_cycle") -> Signal:
    """A signal that may have any value in any cycle. (Each use of an `AnySeq` itself is another value.)"""
    signal = Signal(shape, name=name)
    m.d.comb += signal.eq(AnySeq(shape))
    return signal


def any_for_ever(m: Module, shape: Any, name: str = "any_for_ever") -> Signal:
    """A signal that may have any value, the same in all cycles."""
    signal = Signal(shape, name=name)
    m.d.comb += signal.eq(AnyConst(shape))
    return signal


def itself(component: Elaboratable) -> Elaboratable:
    """`build` of a proof whose component is made before, since the proof asks it for its probes."""
    return component
