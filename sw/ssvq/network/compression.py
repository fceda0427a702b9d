"""Compressed weights of a graph's layers."""

from __future__ import annotations

from collections.abc import Callable

from ssvq.network import operators as ops
from ssvq.network.graph import Graph, Node
from ssvq.quantize.encode import encode
from ssvq.quantize.formats import QuantizeConfig
from ssvq.quantize.layer import CompressedLayer


def compress_graph(graph: Graph, choose: Callable[[Node], QuantizeConfig]) -> dict[str, CompressedLayer]:
    """The layers of all Linear and Conv2d nodes by node name, batch norms included.

    A convolution whose kernel does not overlap with itself is stored as a matrix: (outputs, kernel rows, kernel
    columns, inputs), as the patches of its input are.

    Args:
        graph: a network.
        choose: format of a node's weights.

    Raises:
        ValueError: weights that cannot be compressed as chosen; the text names the node.
    """
    layers: dict[str, CompressedLayer] = {}
    for node in graph.nodes:
        if isinstance(node.operator, ops.Linear | ops.Conv2d):
            weight = graph.constants[node.operands[1]]
            bias = graph.constants[node.operands[2]] if len(node.operands) > 2 else None
            if weight.ndim == 4:
                weight = weight.permute(0, 2, 3, 1).flatten(1)
            layers[node.name] = encode(weight, choose(node), bias=bias, name=node.name)
    return layers
