"""Movement: views of what is stored, and parts of a concatenation that are computed in their place."""

from __future__ import annotations

import math
from dataclasses import replace

from ssvq.network import operators as ops
from ssvq.network.graph import Node
from ssvq.network.integer.integer_network import ProductStep, VectorStep
from ssvq.network.integer.lowering.state import Lowering, refuse
from ssvq.network.integer.strided import Block, View, inverse_order
from ssvq.reference import ActivationScale
from ssvq.vector_scales import rescaled_sum


def move(low: Lowering, node: Node, operator: ops.Reshape | ops.Transpose | ops.Slice | ops.Expand) -> None:
    """The same stored values, seen in another way; a factor before may have changed what they mean."""
    if node.name in low.views:  # a layer has stored it by itself
        return
    view = low.view(node, node.operands[0])
    moved: View | None
    if isinstance(operator, ops.Reshape):
        moved = view.reshaped(node.type.shape)
    elif isinstance(operator, ops.Transpose):
        moved = view.transposed(operator.permutation)
    elif isinstance(operator, ops.Slice):
        moved = view.sliced(operator.axis, operator.start, operator.stop, operator.step)
    else:
        moved = view.expanded(node.type.shape)
    if moved is None:
        refuse(node, f"{type(operator).__name__} does not keep activations and channels apart")
    low.views[node.name] = moved
    low.scales[node.name] = low.scales[node.operands[0]]


def concat(low: Lowering, node: Node, operator: ops.Concat) -> None:
    """Activations after activations, or channels after channels that begin with a memory word.

    What is stored for nothing else is written in its place at once, and all else copied.
    """
    parts = [low.view(node, operand) for operand in node.operands]
    order = low.order(parts[0])
    blocks = [low.block(node, part.transposed(order)) for part in parts]
    by_channels = operator.axis == order[-1]
    before = order[: order.index(operator.axis)]
    if not by_channels and math.prod(node.type.shape[axis] for axis in before) != 1:
        refuse(node, "a concatenation must be along channels, or along the first axis of the activations")
    shape = tuple(node.type.shape[axis] for axis in order)
    whole = low.store(node.name, math.prod(shape[:-1]), shape[-1], low.scales[node.name])
    low.views[node.name] = View.whole(node.name, shape).transposed(inverse_order(order))
    first = 0
    for operand, block in zip(node.operands, blocks, strict=True):
        if by_channels:
            low.require_word(node, "each part of a concatenation", first)
            target = replace(whole, channel=first, channels=block.channels)
            first += block.channels
        else:
            target = replace(whole, token=first, tokens=block.tokens)
            first += block.tokens
        in_place = node.operands.count(operand) == 1 and low.scales[operand] == low.scales[node.name]
        if not in_place or not _redirect(low, operand, block, target):
            scale = low.scales[operand]
            copy(low, node, f"{node.name}.{operand}.{len(low.steps)}", block, target, scale=scale)


def copy(low: Lowering, node: Node, name: str, source: Block, target: Block, *, scale: ActivationScale) -> None:
    """A step that copies a block of a scale to one of the node's."""
    output_scale = low.result_scale(node)
    operation = rescaled_sum(node.name, channels=source.channels, input_scale=scale, output_scale=output_scale)
    low.steps.append(VectorStep(name=name, operation=operation, sources=(source,), target=target))


def _redirect(low: Lowering, operand: str, block: Block, target: Block) -> bool:
    """Let the one step that computes a block write to `target` instead, where nothing but views of it are taken."""
    names = [operand]
    while (node := low.graph.by_name.get(names[-1])) is not None and _is_view(low, node):
        names.append(node.operands[0])
    stored = low.tensors[block.tensor]
    whole = (block.token, block.channel, block.step) == (0, 0, 1) and block.tokens == stored.tokens
    alone = all(low.graph.only_user(name) is not None for name in names)
    if not (whole and alone and block.channels == stored.channels and names[-1] == block.tensor):
        return False
    writers = [number for number, step in enumerate(low.steps) if step.target.tensor == block.tensor]
    if len(writers) != 1:
        return False
    step = low.steps[writers[0]]
    if isinstance(step, ProductStep) or step.target != block:
        return False
    low.steps[writers[0]] = replace(step, target=target)
    return True


def _is_view(low: Lowering, node: Node) -> bool:
    return isinstance(node.operator, ops.MOVEMENT) or low.is_fused(node)
