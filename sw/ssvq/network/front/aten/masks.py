"""Conversions, and what masks are made of."""

from __future__ import annotations

import torch

from ssvq.network.errors import UnsupportedError
from ssvq.network.front import composition_masks as make
from ssvq.network.front.aten.table import maps
from ssvq.network.front.builder import GraphBuilder, Value
from ssvq.network.front.composition import Term
from ssvq.network.tensor_type import short


@maps("_to_copy", "to", "type_as")
def to(b: GraphBuilder, *, x: Value, dtype: torch.dtype | None = None, y: Value | None = None, **_s: object) -> Value:
    """Nothing, where the dtype stays; otherwise a Cast."""
    wanted = y.dtype if y is not None else dtype
    return x if wanted is None else make.cast(b, x, wanted)


@maps("logical_not")
def logical_not(b: GraphBuilder, *, x: Value) -> Value:
    """A Not."""
    return make.negated(b, make.cast(b, x, torch.bool))


@maps("bitwise_not")
def bitwise_not(b: GraphBuilder, *, x: Value) -> Value:
    """A Not of bools."""
    if x.dtype != torch.bool:
        raise UnsupportedError(f"the operand must be bool, not {short(x.dtype)}")
    return make.negated(b, x)


@maps("ne")
def differs(b: GraphBuilder, *, x: Value, y: Term) -> Value:
    """A Cast, where the other operand is 0."""
    return make.differs(b, x, y)


@maps("eq")
def equals(b: GraphBuilder, *, x: Value, y: Term) -> Value:
    """A Cast and a Not, where the other operand is 0."""
    return make.equals(b, x, y)
