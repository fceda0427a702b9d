"""Movement of values in as few steps as possible."""

from __future__ import annotations

from ssvq.network.graph import Graph, Node
from ssvq.network.operators import Add, Expand, Multiply, Reshape, Transpose
from ssvq.network.rewrite import Rewrite
from ssvq.network.tensor_type import broadcast


def merge_movement(graph: Graph) -> Graph:
    """Reshapes, and transpositions, that follow each other become one; those that change nothing go.

    An Expand goes, too, where only an Add or Multiply takes it, which broadcasts by itself.
    """
    rewrite = Rewrite(graph)
    for old in rewrite.nodes:
        node = rewrite.current(old)
        if isinstance(node.operator, Reshape):
            _merge_reshape(rewrite, node)
        elif isinstance(node.operator, Transpose):
            _merge_transpose(rewrite, node)
        elif isinstance(node.operator, Add | Multiply):
            _skip_expand(rewrite, node)
    return rewrite.graph()


def _merge_reshape(rewrite: Rewrite, node: Node) -> None:
    (source,) = node.operands
    before = rewrite.producer(source)
    if before is not None and isinstance(before.operator, Reshape):
        (source,) = before.operands
    if rewrite.type_of(source) == node.type:
        rewrite.bypass(node, source)
    else:
        rewrite.replace(node, node.operator, source)


def _merge_transpose(rewrite: Rewrite, node: Node) -> None:
    (source,) = node.operands
    permutation = getattr(node.operator, "permutation", ())
    before = rewrite.producer(source)
    if before is not None and isinstance(before.operator, Transpose):
        (source,) = before.operands
        permutation = tuple(before.operator.permutation[axis] for axis in permutation)
    moved = [axis for axis in permutation if rewrite.type_of(source).shape[axis] != 1]
    if list(permutation) == sorted(permutation):
        rewrite.bypass(node, source)
    elif moved == sorted(moved):  # only axes of length 1 move
        rewrite.replace(node, Reshape(shape=node.type.shape), source)
        _merge_reshape(rewrite, rewrite.current(node))
    else:
        rewrite.replace(node, Transpose(permutation=permutation), source)


def _skip_expand(rewrite: Rewrite, node: Node) -> None:
    operands = list(node.operands)
    for position, operand in enumerate(operands):
        before = rewrite.producer(operand)
        if before is None or not isinstance(before.operator, Expand):
            continue
        shapes = [rewrite.type_of(other).shape for other in operands]
        shapes[position] = rewrite.type_of(before.operands[0]).shape
        if broadcast(*shapes) == node.type.shape:
            operands[position] = before.operands[0]
    rewrite.replace(node, node.operator, *operands)
