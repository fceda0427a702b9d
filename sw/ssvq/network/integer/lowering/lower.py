"""The operators of a graph one after the other, each by its handler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ssvq.layer_arithmetic import CompileError
from ssvq.network import operators as ops
from ssvq.network.calibration import ValueRange
from ssvq.network.errors import GraphError
from ssvq.network.graph import Graph, Node
from ssvq.network.integer.integer_network import IntegerNetwork
from ssvq.network.integer.lowering.arithmetic import binary, clamp, scale_shift, unary
from ssvq.network.integer.lowering.images import convolution, pool
from ssvq.network.integer.lowering.matrices import linear, product
from ssvq.network.integer.lowering.means import mean
from ssvq.network.integer.lowering.movement import concat, move
from ssvq.network.integer.lowering.softmax import softmax
from ssvq.network.integer.lowering.state import Lowering, refuse
from ssvq.network.integer.lowering.transposed import transposed_convolution
from ssvq.quantize.layer import CompressedLayer

HANDLERS: Mapping[type[ops.Operator], Callable[[Lowering, Node, Any], None]] = {
    ops.Linear: linear,
    ops.MatMul: product,
    ops.Conv2d: convolution,
    ops.ConvTranspose2d: transposed_convolution,
    ops.AveragePool: pool,
    ops.MaxPool: pool,
    ops.Mean: mean,
    ops.Reshape: move,
    ops.Transpose: move,
    ops.Slice: move,
    ops.Expand: move,
    ops.Concat: concat,
    ops.Add: binary,
    ops.Multiply: binary,
    ops.ScaleShift: scale_shift,
    ops.Clamp: clamp,
    ops.Elementwise: unary,
    ops.Softmax: softmax,
    ops.LayerNorm: unary,
}
"""What lowers each kind of operator; each is given its node and the node's operator."""


def lower(
    graph: Graph, ranges: Mapping[str, ValueRange], layers: Mapping[str, CompressedLayer], *, word_bytes: int
) -> IntegerNetwork:
    """The network in the core's integers.

    Args:
        graph: a network of batch 1.
        ranges: of all its values, see `calibrate`.
        layers: the compressed weights by the names of their nodes, see `compress_graph`, or else of their modules.
        word_bytes: of the core's activation memory: parts lie beside each other where they are whole words.

    Raises:
        GraphError: an operator that the core does not do, or operands that are not where it needs them; it names the
            node.
    """
    lowering = Lowering(graph, ranges, layers, word_bytes)
    for node in graph.nodes:
        handler = HANDLERS.get(type(node.operator))
        if handler is None:
            refuse(node, f"{type(node.operator).__name__} is not among the core's operations")
        for name in (*node.operands, node.name):
            if name not in lowering.scales:
                refuse(
                    node,
                    f"{name!r} has no range, as a value of float32 with at least one element has after calibration",
                )
        try:
            handler(lowering, node, node.operator)
        except CompileError as error:
            raise GraphError(node.name, error.rule) from error
    return lowering.network()
