"""Movement of values in as few steps as possible, in one order: slices, then a Reshape, then a Transpose."""

from __future__ import annotations

import math

from ssvq.network.front.rewrite import Rewrite
from ssvq.network.graph import Graph, Node
from ssvq.network.operators import Add, Clamp, Elementwise, Expand, Multiply, Reshape, Slice, Transpose
from ssvq.network.tensor_type import Shape, broadcast


def settle_movement(graph: Graph) -> Graph:
    """Brings movement into its order, step by step, until nothing changes any more.

    * Reshapes, and transpositions, that follow each other become one; those that change nothing go.
    * A Slice goes before a Reshape or Transpose that nothing but slices takes: of the three parts of `qkv`, each is a
      run of channels of the layer's output.
    * A Reshape that splits, adds or takes away axes goes before the Transpose before it.
    * An Expand goes behind functions of one number, and away where an Add or Multiply takes it, which broadcast.

    Each step takes a movement nearer to its place, so that there is an end.
    """
    while True:
        settled = _step(graph)
        if _description(settled) == _description(graph):
            return settled
        graph = settled


def _description(graph: Graph) -> list[object]:
    return [(node.operator, node.operands) for node in graph.nodes]


def _step(graph: Graph) -> Graph:
    rewrite = Rewrite(graph)
    for node in rewrite.each():
        if isinstance(node.operator, Reshape):
            _merge_reshape(rewrite, node)
        elif isinstance(node.operator, Transpose):
            _merge_transpose(rewrite, node, node.operator)
        elif isinstance(node.operator, Slice):
            _lift_slice(rewrite, node, node.operator)
        elif isinstance(node.operator, Clamp | Elementwise):
            _lower_expand(rewrite, node)
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
    elif before is not None and isinstance(before.operator, Transpose) and rewrite.is_used_once(before.name):
        groups = _groups(before.type.shape, node.type.shape)
        if groups is not None:
            _exchange(rewrite, node, before.operands[0], before.operator.permutation, groups)
    else:
        rewrite.replace(node, node.operator, source)


def _groups(shape: Shape, wanted: Shape) -> list[list[int]] | None:
    """Axes of `wanted` that each axis of `shape` becomes; None where axes would have to be merged."""
    groups: list[list[int]] = []
    axis = 0
    for length in shape:
        group: list[int] = []
        if length == 1 and axis < len(wanted) and wanted[axis] == 1:  # rather than leave it to a longer axis
            group.append(axis)
            axis += 1
        while math.prod(wanted[number] for number in group) < length and axis < len(wanted):
            group.append(axis)
            axis += 1
        if math.prod(wanted[number] for number in group) != length:
            return None
        groups.append(group)
    if groups:
        groups[-1].extend(range(axis, len(wanted)))  # axes of length 1
    return groups


def _exchange(rewrite: Rewrite, node: Node, source: str, permutation: tuple[int, ...], groups: list[list[int]]) -> None:
    """Puts a Transpose and then a Reshape as a Reshape and then a Transpose."""
    group_of = {axis: groups[place] for place, axis in enumerate(permutation)}
    order = [number for axis in range(len(permutation)) for number in group_of[axis]]
    shape = tuple(node.type.shape[number] for number in order)
    split = rewrite.insert_before(node, Reshape(shape=shape), source)
    rewrite.replace(node, Transpose(permutation=tuple(order.index(number) for number in range(len(order)))), split)


def _merge_transpose(rewrite: Rewrite, node: Node, operator: Transpose) -> None:
    (source,) = node.operands
    permutation = operator.permutation
    before = rewrite.producer(source)
    if before is not None and isinstance(before.operator, Transpose):
        (source,) = before.operands
        permutation = tuple(before.operator.permutation[axis] for axis in permutation)
    moved = [axis for axis in permutation if rewrite.type_of(source).shape[axis] != 1]
    if list(permutation) == sorted(permutation):
        rewrite.bypass(node, source)
    elif moved == sorted(moved):  # only axes of length 1 move
        rewrite.replace(node, Reshape(shape=node.type.shape), source)
    else:
        rewrite.replace(node, Transpose(permutation=permutation), source)


def _lift_slice(rewrite: Rewrite, node: Node, operator: Slice) -> None:
    before = rewrite.producer(node.operands[0])
    if before is None or not rewrite.is_used_by(before.name, Slice):
        return
    if isinstance(before.operator, Transpose):
        axis = before.operator.permutation[operator.axis]
        lifted = Slice(axis=axis, start=operator.start, stop=operator.stop, step=operator.step)
        rewrite.replace(node, before.operator, rewrite.insert_before(node, lifted, *before.operands))
    elif isinstance(before.operator, Reshape):
        shape, wanted = rewrite.type_of(before.operands[0]).shape, before.type.shape
        above = math.prod(wanted[: operator.axis])
        for axis in range(len(shape)):
            # the axis has to be the first part of one, or the whole of one, before the Reshape
            inner = math.prod(wanted[operator.axis + 1 :]) // math.prod(shape[axis + 1 :])
            is_first = math.prod(shape[:axis]) == above and shape[axis] == wanted[operator.axis] * inner
            if is_first and shape[axis] > 1 and (operator.step == 1 or inner == 1):
                lifted = Slice(axis=axis, start=operator.start * inner, stop=operator.stop * inner, step=operator.step)
                sliced = rewrite.insert_before(node, lifted, *before.operands)
                rewrite.replace(node, Reshape(shape=node.type.shape), sliced)
                return


def _lower_expand(rewrite: Rewrite, node: Node) -> None:
    before = rewrite.producer(node.operands[0])
    if before is not None and isinstance(before.operator, Expand):
        rewrite.replace(node, before.operator, rewrite.insert_before(node, node.operator, *before.operands))


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
