"""Names that a user recognises."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

from ssvq.network.graph import Graph, Node
from ssvq.network.operators import Clamp, Elementwise, Host


def name_nodes(graph: Graph) -> Graph:
    """Nodes get their layer's or module's name; several of one module have what they do behind it.

    `fc1` for a layer and for whatever is alone in its module, otherwise `attn.softmax`, `attn.matmul`, `attn.matmul_2`.
    """
    alone = Counter(node.scope for node in graph.nodes if node.module is None)
    layers = {node.module for node in graph.nodes}
    parents = {parent for node in graph.nodes for parent in _parents(node.module or node.scope)}
    taken = {*graph.inputs, *graph.constants}
    names: dict[str, str] = {}
    for node in graph.nodes:
        wanted = node.module
        if wanted is None:
            is_alone = node.scope and alone[node.scope] == 1 and node.scope not in layers | parents
            wanted = node.scope if is_alone else f"{node.scope}.{_label(node)}".lstrip(".")
        found, number = wanted, 1
        while found in taken:
            number += 1
            found = f"{wanted}_{number}"
        taken.add(found)
        names[node.name] = found
    return Graph(
        inputs=graph.inputs,
        constants=graph.constants,
        nodes=tuple(
            replace(node, name=names[node.name], operands=tuple(names.get(name, name) for name in node.operands))
            for node in graph.nodes
        ),
        outputs={output: names.get(name, name) for output, name in graph.outputs.items()},
    )


def _parents(scope: str) -> list[str]:
    """Names of the modules around one."""
    parts = scope.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _label(node: Node) -> str:
    if isinstance(node.operator, Elementwise):
        return str(node.operator.function)
    if isinstance(node.operator, Host):  # `topk` of aten.topk.default, `Resize` of onnx.Resize
        return node.operator.operation.split(".")[1].lower()
    if isinstance(node.operator, Clamp) and node.operator.low == 0:
        return {math.inf: "relu", 6.0: "relu6"}.get(node.operator.high, node.operator.label)
    return node.operator.label
