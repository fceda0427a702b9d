"""A network as a graph of operators: what the front ends make, and what is quantized and compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import torch
from torch import Tensor

from ssvq.network.errors import GraphError, OperatorError
from ssvq.network.operators import Host, Operator
from ssvq.network.tensor_type import TensorType


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operation.

    Attributes:
        name: of the node and of its result: the module's, such as `blocks.0.attn.qkv`, or the module's and what it
            does in there, such as `blocks.0.attn.softmax`.
        operator: what it computes.
        operands: names of graph inputs, constants and nodes before it.
        type: of the result.
        scope: full name of the module that it was computed in; "" in the model itself.
        module: full name of the Linear, Conv2d or ConvTranspose2d whose weight it has, as the container of compressed
            layers has it; None without one.
        folded: full names of the batch norms that its weight and bias took in.
    """

    name: str
    operator: Operator
    operands: tuple[str, ...]
    type: TensorType
    scope: str = ""
    module: str | None = None
    folded: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """Nodes between inputs and outputs. Nobody may write into the constants.

    Attributes:
        inputs: types by name, in the order of the model's arguments.
        constants: weights, positions, masks and such by name; a model's own have the names of its state dict.
        nodes: each after those whose results it takes.
        outputs: names of values (nodes, or inputs or constants that are handed through) by the outputs' names.

    Raises:
        GraphError: two things have one name, an operand does not exist before its node, a type is not what the operator
            gives, or a weight is no constant or not finite.
    """

    inputs: Mapping[str, TensorType]
    constants: Mapping[str, Tensor]
    nodes: tuple[Node, ...]
    outputs: Mapping[str, str]

    def __post_init__(self) -> None:
        for field in ("inputs", "constants", "outputs"):
            object.__setattr__(self, field, MappingProxyType(dict(getattr(self, field))))
        types = dict(self.inputs)
        for name, tensor in self.constants.items():
            _require_new(name, types)
            try:
                types[name] = TensorType.of(tensor)
            except OperatorError as error:
                raise GraphError(name, str(error)) from None
        finite: set[str] = set()
        for node in self.nodes:
            _require_new(node.name, types)
            self._check(node, types, finite)
            types[node.name] = node.type
        for output, name in self.outputs.items():
            if name not in types:
                raise GraphError(output, f"an output must be a value of the graph, not {name!r}")

    def _check(self, node: Node, types: Mapping[str, TensorType], finite: set[str]) -> None:
        for operand in node.operands:
            if operand not in types:
                raise GraphError(node.name, f"an operand must come before its node, not {operand!r}")
        found = result_type(node.name, node.operator, [types[operand] for operand in node.operands])
        if found != node.type:
            raise GraphError(node.name, f"type must be {found}, not {node.type}")
        for position in node.operator.parameters:
            if position < len(node.operands):
                operand = node.operands[position]
                if operand not in self.constants:
                    kind = type(node.operator).__name__
                    raise GraphError(node.name, f"operand {position} of {kind} must be a constant, not {operand!r}")
                if operand not in finite:
                    require_finite(operand, self.constants[operand])
                    finite.add(operand)

    @cached_property
    def users(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that take each value, by its name; a node that takes it twice is there once."""
        users: dict[str, list[Node]] = {}
        for node in self.nodes:
            for operand in dict.fromkeys(node.operands):
                users.setdefault(operand, []).append(node)
        return MappingProxyType({name: tuple(nodes) for name, nodes in users.items()})

    def only_user(self, name: str) -> Node | None:
        """The one node that takes a value; None where there are others or none, or the value is an output."""
        users = self.users.get(name, ())
        return users[0] if len(users) == 1 and name not in self.outputs.values() else None

    @cached_property
    def by_name(self) -> Mapping[str, Node]:
        """The nodes by name."""
        return MappingProxyType({node.name: node for node in self.nodes})

    def type_of(self, name: str) -> TensorType:
        """Type of an input, constant or node; raises GraphError where there is none of that name."""
        if name in self.by_name:
            return self.by_name[name].type
        if name in self.inputs:
            return self.inputs[name]
        if name in self.constants:
            return TensorType.of(self.constants[name])
        raise GraphError(name, "there is no such value in the graph")


def result_type(name: str, operator: Operator, operands: list[TensorType]) -> TensorType:
    """The operator's result, with errors that name the node."""
    try:
        return operator.output_type(operands)
    except OperatorError as error:
        raise GraphError(name, f"{type(operator).__name__}: {error}") from None


def require_finite(name: str, tensor: Tensor) -> None:
    """Raises GraphError where a weight is infinite or nan."""
    if not tensor.is_floating_point() or not tensor.numel():
        return
    low, high = tensor.aminmax()  # a quarter of the time that asking every weight takes; nan is both
    if not bool(torch.isfinite(high - low)):
        wrong = int((~torch.isfinite(tensor)).sum())
        if wrong:
            raise GraphError(name, f"weights must be finite, {wrong} of {tensor.numel()} are not")


def require_operator_set(graph: Graph) -> None:
    """Raises GraphError where a node is a Host."""
    for node in graph.nodes:
        if isinstance(node.operator, Host):
            problem = f"{node.operator.operation} must be in the operator set: {node.operator.reason}"
            raise GraphError(node.name, problem)


def _require_new(name: str, known: Mapping[str, object]) -> None:
    if not name or name in known:
        raise GraphError(name, "inputs, constants and nodes must have names, each its own")
