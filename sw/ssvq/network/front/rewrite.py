"""A graph while a pass changes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from ssvq.network.errors import OperatorError
from ssvq.network.graph import Graph, Node, result_type
from ssvq.network.operators import Operator
from ssvq.network.tensor_type import TensorType

Kind = TypeVar("Kind", bound=Operator)


class Rewrite:
    """Nodes of a graph, that a pass replaces one by one in their order. What nothing takes any more goes in the end.

    A pattern is replaced at its last node, which keeps its name, so that the nodes after it need no change.
    """

    def __init__(self, graph: Graph) -> None:
        self.nodes = graph.nodes
        self._order = list(graph.nodes)
        self._graph = graph
        self._current = dict(graph.by_name)
        self._constants = dict(graph.constants)
        self._aliases: dict[str, str] = {}
        self._uses = Counter(operand for node in graph.nodes for operand in node.operands)
        self._uses.update(graph.outputs.values())

    def each(self, *kinds: type[Operator]) -> Iterator[Node]:
        """The graph's nodes with operators of these kinds, all without any, each as it is when its turn comes."""
        for node in self.nodes:
            current = self.current(node)
            if not kinds or isinstance(current.operator, kinds):
                yield current

    def current(self, node: Node) -> Node:
        """The node as it is by now."""
        found = self._current[node.name]
        operands = tuple(self._named(operand) for operand in found.operands)
        return found if operands == found.operands else replace(found, operands=operands)

    def producer(self, name: str) -> Node | None:
        """The node that gives a value; None for inputs and constants."""
        node = self._current.get(self._named(name))
        return None if node is None else self.current(node)

    def operator(self, name: str, kind: type[Kind]) -> Kind | None:
        """The operator that gives a value, where it is of the kind."""
        node = self.producer(name)
        return node.operator if node is not None and isinstance(node.operator, kind) else None

    def constant(self, name: str) -> Tensor | None:
        """The tensor of a constant; None for other values."""
        return self._constants.get(self._named(name))

    def number(self, name: str) -> float | None:
        """The number that all elements of a float constant have; None for other values."""
        tensor = self.constant(name)
        if tensor is None or tensor.dtype != torch.float32 or not tensor.numel():
            return None
        first = tensor.flatten()[0]
        return float(first) if bool((tensor == first).all()) else None

    def is_used_once(self, name: str) -> bool:
        """Whether one node takes a value, once, and no output is it."""
        return self._uses[name] == 1

    def is_used_by(self, name: str, kind: type[Operator]) -> bool:
        """Whether nodes of a kind alone take a value, and no output is it."""
        users = self._graph.users.get(name, ())
        is_output = name in self._graph.outputs.values()
        return not is_output and bool(users) and all(isinstance(user.operator, kind) for user in users)

    def replace(self, node: Node, operator: Operator, *operands: str, **changes: Any) -> None:
        """Another operator in the place of a node, with a result of the same shape."""
        types = [self.type_of(operand) for operand in operands]
        type = result_type(node.name, operator, types)
        if type != node.type:
            raise OperatorError(f"{node.name}: the result must stay {node.type}, not become {type}")
        self._current[node.name] = replace(node, operator=operator, operands=operands, **changes)

    def insert_before(self, node: Node, operator: Operator, *operands: str, **fields: Any) -> str:
        """A new node in front of another, in the same module if the fields say no other; its name."""
        type = result_type(node.name, operator, [self.type_of(operand) for operand in operands])
        name = f"{node.name}.{operator.label}"
        while name in self._current or name in self._constants:
            name += "_"
        new = Node(name=name, operator=operator, operands=operands, type=type, **{"scope": node.scope, **fields})
        self._current[name] = new
        places = [number for number, other in enumerate(self._order) if other.name == node.name]
        self._order.insert(places[0], new)
        return name

    def bypass(self, node: Node, value: str) -> None:
        """Whoever takes the node's result takes a value of the same type instead."""
        self._aliases[node.name] = self._named(value)

    def add_constant(self, tensor: Tensor, name: str) -> str:
        """A new constant, under this name or one like it."""
        found, number = name, 1
        while found in self._constants or found in self._current or found in self._graph.inputs:
            number += 1
            found = f"{name}_{number}"
        self._constants[found] = tensor
        return found

    def graph(self) -> Graph:
        """The changed graph, without nodes and constants that no output needs."""
        outputs = {output: self._named(name) for output, name in self._graph.outputs.items()}
        needed = set(outputs.values())
        kept: list[Node] = []
        for old in reversed(self._order):
            if old.name in needed:
                node = self.current(old)
                kept.append(node)
                needed.update(node.operands)
        return Graph(
            inputs=self._graph.inputs,
            constants={name: tensor for name, tensor in self._constants.items() if name in needed},
            nodes=tuple(reversed(kept)),
            outputs=outputs,
        )

    def type_of(self, name: str) -> TensorType:
        """Type of a value."""
        name = self._named(name)
        tensor = self._constants.get(name)
        if tensor is not None:
            return TensorType.of(tensor)
        return self._current[name].type if name in self._current else self._graph.inputs[name]

    def _named(self, name: str) -> str:
        while name in self._aliases:
            name = self._aliases[name]
        return name
