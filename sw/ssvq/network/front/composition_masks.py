"""Conversions, and comparisons that masks are made by, as PyTorch and ONNX have them; as `composition`."""

from __future__ import annotations

import torch

from ssvq.network import operators as ops
from ssvq.network.errors import UnsupportedError
from ssvq.network.front.builder import GraphBuilder, Value
from ssvq.network.front.composition import Term
from ssvq.network.tensor_type import short


def cast(b: GraphBuilder, x: Value, dtype: torch.dtype) -> Value:
    """A Cast to float32 or bool; nothing, where the dtype stays."""
    if dtype == x.dtype:
        return x
    if dtype not in (torch.float32, torch.bool):
        raise UnsupportedError(f"it converts {short(x.dtype)} to {short(dtype)}")
    return b.apply(ops.Cast(dtype=dtype), x)


def negated(b: GraphBuilder, x: Value) -> Value:
    """A Not."""
    return b.apply(ops.Not(), x)


def differs(b: GraphBuilder, x: Value, y: Term) -> Value:
    """Whether x is not the number 0: a Cast."""
    number = y.constant if isinstance(y, Value) else torch.tensor(y)
    if number is None or number.numel() != 1 or bool(number.any()):
        raise UnsupportedError("a value must be compared with the number 0")
    return cast(b, x, torch.bool)


def equals(b: GraphBuilder, x: Value, y: Term) -> Value:
    """Whether x is the number 0: a Cast and a Not."""
    return negated(b, differs(b, x, y))
