"""Masks of softmax as what they mean: which places take part."""

from __future__ import annotations

import torch
from torch import Tensor

from ssvq.network.front.rewrite import Rewrite
from ssvq.network.graph import Graph, Node
from ssvq.network.operators import Add, Expand, Host, Operator, Reshape, Softmax, Transpose, Where
from ssvq.network.tensor_type import TensorType

LEFT_OUT = -1e4
"""A score, or an addition to one, of at most this makes its exponential 0 in float32 beside any usual score."""

NEGATIONS = ("aten.logical_not.default", "aten.bitwise_not.default", "onnx.Not")


def fuse_mask(graph: Graph) -> Graph:
    """Scores that a Where or a constant Add makes as good as minus infinity are left out by the Softmax itself.

    A constant mask that leaves nothing out goes.
    """
    rewrite = Rewrite(graph)
    for node in rewrite.each(Softmax):
        if len(node.operands) == 1:
            scores = rewrite.producer(node.operands[0])
            found = None if scores is None else _masked(rewrite, scores)
            if found is not None and rewrite.type_of(found[0]) == node.type:  # else the mask has made it larger
                rewrite.replace(node, node.operator, *found)
                node = rewrite.current(node)
        mask = rewrite.constant(node.operands[-1])
        if len(node.operands) == 2 and mask is not None and bool(mask.all()):
            rewrite.replace(node, node.operator, node.operands[0])
    return rewrite.graph()


def _masked(rewrite: Rewrite, node: Node) -> tuple[str, str] | None:
    """Scores without their mask, and the name of `keep`; None without a mask."""
    if isinstance(node.operator, Add):
        for scores, term in (node.operands, node.operands[::-1]):
            mask = rewrite.constant(term)
            if mask is not None and bool(((mask == 0) | (mask <= LEFT_OUT)).all()):
                return scores, rewrite.add_constant(mask == 0, f"{term}.keep")
            if (keep := _added_mask(rewrite, node, term)) is not None:
                return scores, keep
    if isinstance(node.operator, Where):
        condition, true, false = node.operands
        if _is_left_out(rewrite, false):
            return true, condition
        if _is_left_out(rewrite, true):
            return false, _negated(rewrite, node, condition)
    return None


def _added_mask(rewrite: Rewrite, node: Node, term: str) -> str | None:
    """Where a term of 0 and minus infinity is 0: the condition of a Where, moved as that is; None for other terms."""
    moves: list[Operator] = []
    origin = rewrite.producer(term)
    while origin is not None and isinstance(origin.operator, Reshape | Expand | Transpose):
        moves.append(origin.operator)
        origin = rewrite.producer(origin.operands[0])
    if origin is None or not isinstance(origin.operator, Where):
        return None
    keep, true, false = origin.operands
    if rewrite.number(false) == 0 and _is_left_out(rewrite, true):
        keep = _negated(rewrite, node, keep)
    elif rewrite.number(true) != 0 or not _is_left_out(rewrite, false):
        return None
    for move in reversed(moves):
        keep = rewrite.insert_before(node, move, keep)
    return keep


def _is_left_out(rewrite: Rewrite, name: str) -> bool:
    number = rewrite.number(name)
    return number is not None and number <= LEFT_OUT


def _negated(rewrite: Rewrite, node: Node, condition: str) -> str:
    """The opposite of a condition: a constant, what it is the negation of, or the Where's node as a negation."""
    constant = rewrite.constant(condition)
    if constant is not None:
        return rewrite.add_constant(~constant, f"{condition}.keep")
    origin = rewrite.producer(condition)
    if origin is not None and isinstance(origin.operator, Host) and origin.operator.operation in NEGATIONS:
        return origin.operands[0]
    type = rewrite.type_of(condition)
    negation = Host(
        operation=NEGATIONS[0],
        reason="masks are made on the host",
        operands=(type.shape,),
        result=TensorType(type.shape, torch.bool),
        function=_logical_not,
    )
    return rewrite.insert_before(node, negation, condition)


def _logical_not(*operands: Tensor) -> Tensor:
    return operands[0].logical_not()
