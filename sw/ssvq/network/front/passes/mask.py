"""Masks of softmax as what they mean: which places take part."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ssvq.network.front.passes.mask_function import MaskFunction, mask_function
from ssvq.network.front.rewrite import Rewrite
from ssvq.network.graph import Graph, Node
from ssvq.network.operators import Add, Cast, Not, Softmax, Where

LEFT_OUT = -1e4
"""A score, or an addition to one, of at most this makes its exponential 0 in float32 beside any usual score."""


def fuse_mask(graph: Graph) -> Graph:
    """Scores that a Where or an Add makes as good as minus infinity are left out by the Softmax itself.

    What an Add adds is a constant, or a `mask_function`, whose mask of whole numbers is taken to be of 0 and 1. A
    constant mask that leaves nothing out goes.
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
            return _scores_and_keep(true, _where(rewrite, node, condition, holds=True))
        if _is_left_out(rewrite, true):
            return _scores_and_keep(false, _where(rewrite, node, condition, holds=False))
    return None


def _scores_and_keep(scores: str, keep: str | None) -> tuple[str, str] | None:
    return None if keep is None else (scores, keep)


def _added_mask(rewrite: Rewrite, node: Node, term: str) -> str | None:
    """Where a term of 0 and minus infinity is 0, if a mask decides that; None for other terms."""
    found = mask_function(rewrite, term)
    if found is None or not all(value == 0 or value <= LEFT_OUT for value in found.values):
        return None
    return _made(rewrite, node, found, [value == 0 for value in found.values])


def _where(rewrite: Rewrite, node: Node, condition: str, *, holds: bool) -> str | None:
    """Where a condition holds, or does not; None where the mask that it is made of does not matter."""
    constant = rewrite.constant(condition)
    if constant is not None:
        return condition if holds else rewrite.add_constant(~constant, f"{condition}.keep")
    found = mask_function(rewrite, condition)
    return None if found is None else _made(rewrite, node, found, [(value != 0) == holds for value in found.values])


def _made(rewrite: Rewrite, node: Node, found: MaskFunction, keeps: Sequence[bool]) -> str | None:
    """The condition that keeps a place where the mask is 0, or where it is 1; None where that makes no difference."""
    if keeps[0] == keeps[1]:
        return None
    keep = found.mask
    if rewrite.type_of(keep).dtype != torch.bool:
        keep = rewrite.insert_before(node, Cast(dtype=torch.bool), keep)
    if keeps[0]:
        keep = rewrite.insert_before(node, Not(), keep)
    for move in found.moves:
        keep = rewrite.insert_before(node, move, keep)
    return keep


def _is_left_out(rewrite: Rewrite, name: str) -> bool:
    number = rewrite.number(name)
    return number is not None and number <= LEFT_OUT
