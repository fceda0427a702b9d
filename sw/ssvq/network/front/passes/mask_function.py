"""Terms that are made of a mask, number by number: what they are where the mask is 0, and where it is 1."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ssvq.network.front.passes.match import operand_and_number
from ssvq.network.front.rewrite import Rewrite
from ssvq.network.graph import Node
from ssvq.network.operators import Add, Cast, Expand, Multiply, Not, Operator, Reshape, Transpose, Where


@dataclass(frozen=True, kw_only=True)
class MaskFunction:
    """A term.

    Attributes:
        mask: name of a value of whole numbers or bools.
        moves: of the mask, to the term's shape.
        values: the term's, where the mask is 0 and where it is 1.
    """

    mask: str
    moves: tuple[Operator, ...] = ()
    values: tuple[float, float] = (0.0, 1.0)


def mask_function(rewrite: Rewrite, name: str) -> MaskFunction | None:
    """What gives a term; None where that is more than conversions, numbers, choices and movement of one mask."""
    node = rewrite.producer(name)
    found = None if node is None else _of_node(rewrite, node)
    if found is None and rewrite.constant(name) is None and rewrite.type_of(name).dtype != torch.float32:
        return MaskFunction(mask=name)
    return found


def _of_node(rewrite: Rewrite, node: Node) -> MaskFunction | None:
    operator = node.operator
    if isinstance(operator, Where):
        return _chosen(rewrite, node)
    if isinstance(operator, Add | Multiply):
        return _computed(rewrite, node, operator)
    if not isinstance(operator, Reshape | Expand | Transpose | Cast | Not):
        return None
    found = mask_function(rewrite, node.operands[0])
    if found is None:
        return None
    without, with_mask = found.values
    if isinstance(operator, Not):
        return replace(found, values=(float(without == 0), float(with_mask == 0)))
    if isinstance(operator, Cast):
        is_bool = operator.dtype == torch.bool
        return replace(found, values=(float(without != 0), float(with_mask != 0))) if is_bool else found
    return replace(found, moves=(*found.moves, operator))


def _computed(rewrite: Rewrite, node: Node, operator: Add | Multiply) -> MaskFunction | None:
    """A term and a number; what is infinite times 0 is no number and equals nothing."""
    matched = operand_and_number(rewrite, node, type(operator))
    found = None if matched is None else mask_function(rewrite, matched[0])
    if matched is None or found is None:
        return None
    number = matched[1]
    without, with_mask = (value + number if isinstance(operator, Add) else value * number for value in found.values)
    return _spread(rewrite, node, matched[0], replace(found, values=(without, with_mask)))


def _chosen(rewrite: Rewrite, node: Node) -> MaskFunction | None:
    """Numbers or terms of a mask, chosen by that mask."""
    condition, *branches = node.operands
    found = mask_function(rewrite, condition)
    if found is None:
        return None
    chosen: list[tuple[float, float]] = []
    for branch in branches:
        number = rewrite.number(branch)
        own = None if number is not None else mask_function(rewrite, branch)
        if number is not None:
            chosen.append((number, number))
        elif own is not None and (own.mask, own.moves) == (found.mask, found.moves):
            chosen.append(own.values)
        else:
            return None
    values = [chosen[0 if holds else 1][place] for place, holds in enumerate(found.values)]
    return _spread(rewrite, node, condition, replace(found, values=(values[0], values[1])))


def _spread(rewrite: Rewrite, node: Node, name: str, found: MaskFunction) -> MaskFunction:
    """With the broadcasting of a node, of which `name` is the operand that the mask is in."""
    if rewrite.type_of(name).shape == node.type.shape:
        return found
    return replace(found, moves=(*found.moves, Expand(shape=node.type.shape)))
