"""Sums, gates, functions and norms, of activations as they are stored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ssvq.network import operators as ops
from ssvq.network.float_operators import FUNCTIONS
from ssvq.network.graph import Node
from ssvq.network.integer.integer_network import VectorStep
from ssvq.network.integer.lowering.state import Lowering, refuse
from ssvq.network.integer.strided import Block, View, inverse_order
from ssvq.network.integer.value_scales import constant_factor
from ssvq.reference import FloatArray
from ssvq.vector_operation import VectorOperation
from ssvq.vector_scales import Function, layer_norm, look_up, product, rescaled_sum, scaled_shift

SOFTMAX_STEP_MAX = 2.0
"""Most that a step of scores may be. A ViT's own scores reach over steps of 1.2 with little loss; a mask of large
numbers among them leaves steps of 4 and more, and nothing of the scores."""


def binary(low: Lowering, node: Node, operator: ops.Add | ops.Multiply) -> None:
    """A sum or product of two values; a factor that all elements have only changes what the integers mean."""
    name, other = node.operands
    if (factor := constant_factor(low.graph, node)) is not None:
        low.views[node.name] = low.view(node, name)
        low.scales[node.name] = replace(low.scales[name], scale=low.scales[name].scale * factor)
        return
    shape = node.type.shape
    if name in low.graph.constants or low.graph.type_of(name).shape != shape:
        name, other = other, name
    view = low.view(node, name)
    if view.shape != shape or name in low.graph.constants:
        refuse(node, f"an operand must have the shape {shape} of the result, and be computed")
    order = low.order(view)
    values = _of_channels(low, other, len(shape), order[-1])
    if values is not None:
        is_sum = isinstance(operator, ops.Add)
        ones = torch.ones_like(values)
        _scale_shift(low, node, name, ones if is_sum else values, values if is_sum else 0 * ones)
        return
    constant = other in low.graph.constants
    second = low.constant(other, shape, order) if constant else low.view(node, other).expanded(shape)
    blocks = [low.block(node, view.transposed(order)), low.block(node, second.transposed(order), repeated=True)]
    if len({(block.tokens, block.channels) for block in blocks}) != 1:
        refuse(node, "both operands must have their activations and channels alike")
    scales = {
        "input_scale": low.scales[name],
        "second_scale": low.scales[other],
        "output_scale": low.result_scale(node),
    }
    channels = blocks[0].channels
    if isinstance(operator, ops.Add):
        _require_resolution(low, node)
        operation = rescaled_sum(node.name, channels=channels, clamp=low.bounds(node), **scales)
    else:
        operation = product(node.name, channels=channels, **scales)
    vector(low, node, operation, blocks, order)


def _require_resolution(low: Lowering, node: Node) -> None:
    """Refuse scores to which a mask of large numbers is added: in the steps of such a sum the scores are lost."""
    step = low.result_scale(node).scale
    users = low.graph.users.get(node.name, ())
    if step > SOFTMAX_STEP_MAX and any(isinstance(user.operator, ops.Softmax) for user in users):
        refuse(node, f"a step of what a softmax takes must be at most {SOFTMAX_STEP_MAX:g}, not {step:.3g}")


def scale_shift(low: Lowering, node: Node, operator: ops.ScaleShift) -> None:
    """A factor and a summand of each channel."""
    name = node.operands[0]
    order = low.order(low.view(node, name))
    if operator.axis != order[-1]:
        refuse(node, "ScaleShift must be of the channels of each activation")
    scale, shift = (low.graph.constants[operand] for operand in node.operands[1:])
    _scale_shift(low, node, name, scale, shift)


def clamp(low: Lowering, node: Node, operator: ops.Clamp) -> None:
    """Part of the step before it, or a step of its own."""
    if low.is_fused(node):
        low.views[node.name] = low.views[node.operands[0]]
    else:
        unary(low, node, operator)


def unary(low: Lowering, node: Node, operator: ops.Clamp | ops.Elementwise | ops.LayerNorm) -> None:
    """What each activation gives by itself."""
    view = low.view(node, node.operands[0])
    order = low.order(view)
    block = low.block(node, view.transposed(order))
    vector(low, node, _operation(low, node, operator, order[-1], block.channels), [block], order)


def _operation(
    low: Lowering, node: Node, operator: ops.Clamp | ops.Elementwise | ops.LayerNorm, axis: int, channels: int
) -> VectorOperation:
    """The operation of a node with one operand, whose channels are an axis."""
    scales = {"input_scale": low.scales[node.operands[0]], "output_scale": low.scales[node.name]}
    if isinstance(operator, ops.Clamp):
        return rescaled_sum(node.name, channels=channels, clamp=(operator.low, operator.high), **scales)
    if isinstance(operator, ops.Elementwise):
        return look_up(node.name, channels=channels, function=_function(operator), **scales)
    if axis != len(node.type.shape) - 1:
        refuse(node, f"{type(operator).__name__} must be over the channels of each activation")
    weight, bias = (low.graph.constants[name].numpy() for name in node.operands[1:])
    return layer_norm(node.name, weight=weight, bias=bias, epsilon=operator.epsilon, **scales)


def _of_channels(low: Lowering, name: str, rank: int, axis: int) -> Tensor | None:
    """A constant with values for the places of one axis only, (C,), or one for all, (); None for others."""
    if name not in low.graph.constants:
        return None
    constant = low.graph.constants[name]
    lengths = (1,) * (rank - constant.ndim) + tuple(constant.shape)
    if any(length != 1 for place, length in enumerate(lengths) if place != axis):
        return None
    return constant.flatten() if constant.numel() > 1 else constant.reshape(())


def _scale_shift(low: Lowering, node: Node, name: str, scale: Tensor, shift: Tensor) -> None:
    view = low.view(node, name)
    order = low.order(view)
    block = low.block(node, view.transposed(order))
    operation = scaled_shift(
        node.name,
        channels=block.channels,
        scale=scale.numpy(),
        shift=shift.numpy(),
        input_scale=low.scales[name],
        output_scale=low.result_scale(node),
        clamp=low.bounds(node),
    )
    vector(low, node, operation, [block], order)


def vector(low: Lowering, node: Node, operation: VectorOperation, blocks: list[Block], order: tuple[int, ...]) -> None:
    """A step of one or two blocks, whose axes are in an order, and the view of what it leaves."""
    target = low.store(node.name, blocks[0].tokens, blocks[0].channels, low.result_scale(node))
    low.steps.append(VectorStep(name=node.name, operation=operation, sources=tuple(blocks), target=target))
    stored = View.whole(node.name, tuple(node.type.shape[axis] for axis in order))
    low.views[node.name] = stored.transposed(inverse_order(order))


def _function(operator: ops.Elementwise) -> Function:
    def function(values: FloatArray) -> FloatArray:
        exact = torch.from_numpy(np.asarray(values, dtype=np.float64))
        return np.asarray(FUNCTIONS[operator.function](exact, operator.parameter).numpy())

    return function
