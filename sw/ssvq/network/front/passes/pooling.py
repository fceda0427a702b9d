"""Means over images as pooling."""

from __future__ import annotations

from ssvq.network.front.rewrite import Rewrite
from ssvq.network.graph import Graph
from ssvq.network.operators import AveragePool, Mean


def pool_means(graph: Graph) -> Graph:
    """A Mean over the rows and columns of images becomes a global AveragePool."""
    rewrite = Rewrite(graph)
    for node in rewrite.each():
        shape = rewrite.type_of(node.operands[0]).shape if node.operands else ()
        if isinstance(node.operator, Mean) and len(shape) == 4 and node.operator.axes == (2, 3):
            size = (shape[2], shape[3])
            rewrite.replace(node, AveragePool(kernel=size, stride=size), *node.operands)
    return rewrite.graph()
