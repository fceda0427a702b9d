"""Scales of attention in one place."""

from __future__ import annotations

import torch

from ssvq.network.front.passes.match import term_and_number
from ssvq.network.front.rewrite import Rewrite
from ssvq.network.graph import Graph
from ssvq.network.operators import MatMul, Multiply


def gather_scales(graph: Graph) -> Graph:
    """Numbers that the operands of a MatMul are multiplied with become one, which its result is multiplied with."""
    rewrite = Rewrite(graph)
    for node in rewrite.each(MatMul):
        factor, operands = 1.0, list(node.operands)
        for position, operand in enumerate(operands):
            found = term_and_number(rewrite, operand, Multiply)
            if found is not None and rewrite.type_of(found[0]) == rewrite.type_of(operand):
                operands[position] = found[0]
                factor *= found[1]
        if operands != list(node.operands):
            product = rewrite.insert_before(node, MatMul(), *operands)
            scale = rewrite.add_constant(torch.tensor(factor), f"{node.scope}.scale".lstrip("."))
            rewrite.replace(node, Multiply(), product, scale)
    return rewrite.graph()
