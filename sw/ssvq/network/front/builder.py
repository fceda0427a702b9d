"""Building a graph node by node, with constants computed on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ssvq.network.errors import GraphError, OperatorError
from ssvq.network.float_operators import evaluate
from ssvq.network.graph import Graph, Node
from ssvq.network.operators import Conv2d, ConvTranspose2d, Host, Linear, Operator
from ssvq.network.tensor_type import Shape, TensorType


@dataclass(frozen=True, eq=False)
class Value:
    """An input, a constant or a node's result while a graph is built. `constant` is the tensor of a constant."""

    name: str
    shape: Shape
    dtype: torch.dtype
    constant: Tensor | None = None


class GraphBuilder:
    """A graph that grows. Names of nodes are provisional, `name_nodes` gives the final ones.

    Args:
        before_computing: is called with the type of each constant before it is computed, and may raise.

    Attributes:
        scope: full name of the module that what follows is computed in.
        module: full name of the layer that a weight without a name belongs to, None in no layer.
    """

    def __init__(self, *, before_computing: Callable[[TensorType], None] = lambda kind: None) -> None:
        self._before_computing = before_computing
        self.scope = ""
        self.module: str | None = None
        self._inputs: dict[str, TensorType] = {}
        self._constants: dict[str, Tensor] = {}
        self._owners: dict[str, str] = {}
        self._nodes: list[Node] = []
        self._names: set[str] = set()

    def input(self, name: str, shape: Shape, dtype: torch.dtype) -> Value:
        """A new input of the graph; raises GraphError where its dtype is not supported."""
        name = self._unique(name)
        try:
            self._inputs[name] = TensorType(shape, dtype)
        except OperatorError as error:
            raise GraphError(name, str(error)) from None
        return Value(name, shape, dtype)

    def constant(self, tensor: Tensor, name: str | None = None, *, owner: str | None = None) -> Value:
        """A new constant; `owner` is the layer whose weight it is."""
        name = self._unique(name if name is not None else f"{self.scope}.constant".lstrip("."))
        self._constants[name] = tensor
        if owner is not None:
            self._owners[name] = owner
        return Value(name, tuple(tensor.shape), tensor.dtype, tensor)

    @torch.no_grad()
    def apply(self, operator: Operator, *operands: Value) -> Value:
        """An operator's result: a new node, or a constant where all operands are (but a Host is not computed).

        Raises:
            OperatorError: the operands are against the operator's rules.
        """
        for position in operator.parameters:
            if position < len(operands) and operands[position].constant is None:
                raise OperatorError(f"operand {position} of {type(operator).__name__} must be a constant")
        result = operator.output_type([TensorType(operand.shape, operand.dtype) for operand in operands])
        constants = [operand.constant for operand in operands if operand.constant is not None]
        if len(constants) == len(operands) and not isinstance(operator, Host):
            self._before_computing(result)
            return self.constant(evaluate(operator, constants))
        name = self._unique(f"{self.scope}.{operator.label}".lstrip("."))
        module = None
        if isinstance(operator, Linear | Conv2d | ConvTranspose2d):
            module = self._owners.get(operands[1].name, self.module)
        names = tuple(operand.name for operand in operands)
        self._nodes.append(
            Node(name=name, operator=operator, operands=names, type=result, scope=self.scope, module=module)
        )
        return Value(name, result.shape, result.dtype)

    def build(self, outputs: dict[str, Value]) -> Graph:
        """The graph with these outputs and the constants that it uses; raises as Graph."""
        used = {operand for node in self._nodes for operand in node.operands}
        used.update(value.name for value in outputs.values())
        return Graph(
            inputs=self._inputs,
            constants={name: tensor for name, tensor in self._constants.items() if name in used},
            nodes=tuple(self._nodes),
            outputs={output: value.name for output, value in outputs.items()},
        )

    def _unique(self, name: str) -> str:
        found, number = name, 1
        while found in self._names:
            number += 1
            found = f"{name}_{number}"
        self._names.add(found)
        return found
