"""Parts of patterns."""

from __future__ import annotations

from ssvq.network.front.rewrite import Rewrite
from ssvq.network.graph import Node
from ssvq.network.operators import Add, Multiply


def term_and_number(rewrite: Rewrite, name: str, kind: type[Add | Multiply]) -> tuple[str, float] | None:
    """The two operands of an Add or Multiply, where one of them is a constant of a single value."""
    node = rewrite.producer(name)
    return None if node is None else operand_and_number(rewrite, node, kind)


def operand_and_number(rewrite: Rewrite, node: Node, kind: type[Add | Multiply]) -> tuple[str, float] | None:
    """As `term_and_number`, of a node."""
    if not isinstance(node.operator, kind):
        return None
    for term, constant in (node.operands, node.operands[::-1]):
        number = rewrite.number(constant)
        if number is not None:
            return term, number
    return None


def other_operand(node: Node, one: str) -> str | None:
    """The operand beside one; None where that is none of the two."""
    if len(node.operands) != 2 or one not in node.operands:
        return None
    return node.operands[1] if node.operands[0] == one else node.operands[0]
