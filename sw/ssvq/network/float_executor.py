"""Running a graph in float32 with PyTorch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ssvq.network import operators as ops
from ssvq.network.errors import GraphError
from ssvq.network.float_operators import evaluate
from ssvq.network.graph import Graph, Node
from ssvq.network.tensor_type import TensorType, short


def execute(graph: Graph, *inputs: Tensor) -> tuple[Tensor, ...]:
    """The graph's outputs, in their order, for inputs in theirs.

    Raises:
        GraphError: the number, or a shape or dtype, of the inputs is not the graph's; a Host's function fails, or gives
            something else than it should.
    """
    left = Counter(operand for node in graph.nodes for operand in set(node.operands))
    kept = set(graph.outputs.values())
    values: dict[str, Tensor] = {}
    for name, value in _results(graph, inputs, values):
        values[name] = value
        if name in graph.by_name:
            for operand in set(graph.by_name[name].operands):
                left[operand] -= 1
                if not left[operand] and operand not in kept and operand not in graph.constants:
                    del values[operand]
    return tuple(values[name] if name in values else graph.constants[name] for name in graph.outputs.values())


def execute_all(graph: Graph, *inputs: Tensor) -> dict[str, Tensor]:
    """Every input's and every node's value by name, for inputs in their order; raises as `execute`."""
    values: dict[str, Tensor] = {}
    for name, value in _results(graph, inputs, values):
        values[name] = value
    return values


@torch.no_grad()
def _results(graph: Graph, inputs: Sequence[Tensor], values: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Inputs, then nodes in order, each with its value; the caller keeps them in `values` as long as they are taken."""
    if len(inputs) != len(graph.inputs):
        raise GraphError("inputs", f"there must be {len(graph.inputs)} ({', '.join(graph.inputs)}), not {len(inputs)}")
    for (name, wanted), tensor in zip(graph.inputs.items(), inputs, strict=True):
        if (tuple(tensor.shape), tensor.dtype) != (wanted.shape, wanted.dtype):
            raise GraphError(name, f"the input must be {wanted}, not {TensorType.of(tensor)}")
        yield name, tensor
    for node in graph.nodes:
        operands = [values[name] if name in values else graph.constants[name] for name in node.operands]
        is_host = isinstance(node.operator, ops.Host)
        result = _hosted(node, operands) if is_host else evaluate(node.operator, operands)
        if (tuple(result.shape), result.dtype) != (node.type.shape, node.type.dtype):
            found = f"{short(result.dtype)} {tuple(result.shape)}"
            raise GraphError(node.name, f"the result must be {node.type}, not {found}")
        yield node.name, result


def _hosted(node: Node, operands: Sequence[Tensor]) -> Tensor:
    """A Host's result, of a function that a file or a user has given."""
    try:
        result = evaluate(node.operator, operands)
    except Exception as error:  # PyTorch and ONNX's evaluator have no common exception class
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise GraphError(node.name, f"what the host runs must give a result; it says: {reason}") from error
    if not isinstance(result, Tensor):
        raise GraphError(node.name, f"what the host runs must give a tensor, not {type(result).__name__}")
    return result
