"""Values that are computed twice."""

from __future__ import annotations

from ssvq.network.front.rewrite import Rewrite
from ssvq.network.graph import Graph
from ssvq.network.operators import Host


def merge_equal(graph: Graph) -> Graph:
    """Nodes with the same operator and operands become the first of them; hosts stay, as they may be random."""
    rewrite = Rewrite(graph)
    first: dict[object, str] = {}
    for node in rewrite.each():
        if isinstance(node.operator, Host):
            continue
        key = (node.operator, tuple(_identity(rewrite, operand) for operand in node.operands), node.type)
        if key in first:
            rewrite.bypass(node, first[key])
        else:
            first[key] = node.name
    return rewrite.graph()


def _identity(rewrite: Rewrite, name: str) -> object:
    """What equals that of an equal value: a number, or a value's name."""
    number = rewrite.number(name)
    return name if number is None else (number, rewrite.type_of(name).shape)
