"""Padding as part of the convolutions after it."""

from __future__ import annotations

from dataclasses import replace

from ssvq.network.front.rewrite import Rewrite
from ssvq.network.graph import Graph
from ssvq.network.operators import AveragePool, Conv2d, Pad


def fold_padding(graph: Graph) -> Graph:
    """A Pad of zeros around images becomes padding of the convolution, or of the pooling that counts it, after it."""
    rewrite = Rewrite(graph)
    for node in rewrite.each():
        operator = node.operator
        if not isinstance(operator, Conv2d | AveragePool):
            continue
        pad = rewrite.producer(node.operands[0])
        if pad is None or not isinstance(pad.operator, Pad) or pad.operator.value != 0:
            continue
        before, after = pad.operator.before, pad.operator.after
        if any((*before[:2], *after[:2])):
            continue
        more = (*before[2:], *after[2:])
        top, left, bottom, right = (own + added for own, added in zip(operator.padding, more, strict=True))
        padding = (top, left, bottom, right)
        if isinstance(operator, AveragePool):
            inside = all(number < operator.kernel[side % 2] for side, number in enumerate(padding))
            if not inside or not operator.count_padding:
                continue
        rewrite.replace(node, replace(operator, padding=padding), pad.operands[0], *node.operands[1:])
    return rewrite.graph()
