"""Biases that stand apart."""

from __future__ import annotations

from ssvq.network.front.rewrite import Rewrite
from ssvq.network.graph import Graph
from ssvq.network.operators import Add, Linear


def fold_bias(graph: Graph) -> Graph:
    """An Add of a constant for each channel becomes the bias of the Linear before it, if that has none."""
    rewrite = Rewrite(graph)
    for node in rewrite.each(Add):
        for product, term in (node.operands, node.operands[::-1]):
            linear, bias = rewrite.producer(product), rewrite.constant(term)
            if linear is None or bias is None or not isinstance(linear.operator, Linear):
                continue
            channels = linear.type.shape[-1]
            if (
                bias.shape[-1:] == (channels,)
                and bias.numel() == channels
                and len(linear.operands) == 2
                and rewrite.is_used_once(product)
            ):
                name = term if bias.ndim == 1 else rewrite.add_constant(bias.flatten(), f"{linear.name}.bias")
                kept = {"scope": linear.scope, "module": linear.module}
                rewrite.replace(node, linear.operator, *linear.operands, name, **kept)
                break
    return rewrite.graph()
