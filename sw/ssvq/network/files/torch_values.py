"""Values of PyTorch that a file names, out of fixed lists: operations, and how tensors lie in memory."""

from __future__ import annotations

import torch
from torch._ops import OpOverload

from ssvq.network.hosting.operation_names import ATEN

PREFIX = "aten."
PLACES: dict[str, object] = {
    "cpu": torch.device("cpu"),
    "strided": torch.strided,
    **{name: getattr(torch, name) for name in ("contiguous_format", "preserve_format", "channels_last")},
}
"""Devices, layouts and memory formats among the arguments of operations."""


def name_of(value: object) -> str | None:
    """The name of a value, such as `aten.topk.default` or `cpu`; None where a file has none for it."""
    if isinstance(value, OpOverload):
        name = str(value)
        return name if named(name) is value else None
    if isinstance(value, torch.device) and value.type == "cpu":
        return "cpu"
    return next((name for name, place in PLACES.items() if type(place) is type(value) and place == value), None)


def named(name: object) -> object:
    """The value that has a name; None where none has."""
    if not isinstance(name, str) or not name.startswith(PREFIX):
        return PLACES.get(name) if isinstance(name, str) else None
    operation, _, overload = name.removeprefix(PREFIX).partition(".")
    if operation not in ATEN or not hasattr(torch.ops.aten, operation):  # a PyTorch may lack it
        return None
    packet = getattr(torch.ops.aten, operation)
    if overload not in packet.overloads():
        return None
    found: OpOverload = getattr(packet, overload)
    return None if found._schema.is_mutable else found
