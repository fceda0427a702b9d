"""How the layers of a model follow each other, read from its exported graph.

The core runs a layer, the batch norm after it and the clamp after that as one operation, and hands its int8 output to
the next layer as it is. What belongs together is seen in the graph of `torch.export`, not in the modules.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.fx import Node

from ssvq.quantize.layer import Activation

LAYER_TARGETS = ("linear", "conv2d", "conv_transpose2d")
CARRIERS = ("dropout", "pad", "reshape", "view", "flatten", "permute", "transpose", "contiguous", "max_pool2d", "clone")
"""Operations that only move or choose values (zero is on every int8 grid), by name without overload."""


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """Surroundings of one layer.

    Attributes:
        batch_norm: name of the batch norm that alone reads the layer's output, or None.
        activation: the clamp that alone reads the output of the layer, or of its batch norm.
        reads, writes: names of the tensors that the layer reads and writes, the latter after batch norm and clamp. Two
            layers that read the same name read the same values, up to their order and zeros of padding.
    """

    batch_norm: str | None = None
    activation: Activation = "none"
    reads: str
    writes: str


def trace_wiring(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> dict[str, Wiring]:
    """Wiring of every layer that the graph calls exactly once, by module name.

    Args:
        model: traced in evaluation mode; its mode is restored.
        example_inputs: arguments of its `forward`.

    Raises:
        ValueError: `torch.export` cannot trace the model; the text holds its reason.
    """
    training = model.training
    try:
        with torch.no_grad():
            graph = torch.export.export(model.eval(), example_inputs, strict=False).graph
    except Exception as error:  # torch.export has no common exception class
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"{type(model).__name__} cannot be traced by torch.export: {reason}") from error
    finally:
        model.train(training)
    calls = [node for node in graph.nodes if _operation(node) in LAYER_TARGETS]
    names = Counter(_module_name(node) for node in calls)
    once = [(name, node) for node in calls if (name := _module_name(node)) is not None and names[name] == 1]
    return {name: _surroundings(node) for name, node in once}


def _surroundings(node: Node) -> Wiring:
    before, end = node.all_input_nodes[0], node
    while _operation(before) in CARRIERS:
        before = before.all_input_nodes[0]
    batch_norm: str | None = None
    activation: Activation = "none"
    after = _only_user(end)
    if after is not None and _operation(after) == "batch_norm":
        batch_norm, end = _module_name(after), after
        after = _only_user(end)
    clamp = None if after is None else _clamp(after)
    if after is not None and clamp is not None:
        activation, end = clamp, after
    return Wiring(batch_norm=batch_norm, activation=activation, reads=before.name, writes=end.name)


def _operation(node: Node) -> str:
    """Name of an ATen operation without its overload; "" for other nodes."""
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return ""
    return str(node.target.overloadpacket.__name__).rstrip("_")


def _module_name(node: Node) -> str | None:
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return str(stack[-1][0]) if stack else None


def _only_user(node: Node) -> Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _clamp(node: Node) -> Activation | None:
    operation = _operation(node)
    if operation in ("relu", "relu6"):
        return "relu6" if operation == "relu6" else "relu"
    if operation == "hardtanh" and [float(x) for x in node.args[1:3] if isinstance(x, int | float)] == [0.0, 6.0]:
        return "relu6"
    return None
