"""Softmax, of all channels or of those that a mask keeps."""

from __future__ import annotations

from dataclasses import replace

from ssvq import vector_scales
from ssvq.masked_softmax import masked_softmax
from ssvq.network import operators as ops
from ssvq.network.graph import Node
from ssvq.network.integer.integer_network import VectorStep
from ssvq.network.integer.lowering.arithmetic import SOFTMAX_STEP_MAX, vector
from ssvq.network.integer.lowering.state import Lowering, refuse
from ssvq.network.integer.strided import Block
from ssvq.reference import ActivationScale


def softmax(low: Lowering, node: Node, operator: ops.Softmax) -> None:
    """A step, and with a mask one before it for each matrix of scores."""
    name, *keep = node.operands
    view = low.view(node, name)
    order = low.order(view)
    if order[-1] != operator.axis:
        refuse(node, "Softmax must be over the channels of each activation")
    block = low.block(node, view.transposed(order))
    scales = {"input_scale": low.scales[name], "output_scale": low.scales[node.name]}
    if not keep:
        _require_resolution(node, scales["input_scale"])
        vector(low, node, vector_scales.softmax(node.name, channels=block.channels, **scales), [block], order)
        return
    made = masked_softmax(node.name, channels=block.channels, **scales)
    _require_resolution(node, made.scores_scale)
    masked = low.store(f"{node.name}.mask", block.tokens, block.channels, made.scores_scale)
    mask = low.view(node, keep[0]).expanded(view.shape).transposed(order)
    for number, matrix in enumerate(mask.matrices()):
        kept = low.block(node, matrix, repeated=True)
        sources = (_part(block, number, kept.tokens), kept)
        target = _part(masked, number, kept.tokens)
        step = VectorStep(name=f"{node.name}.mask.{number}", operation=made.mask, sources=sources, target=target)
        low.steps.append(step)
    vector(low, node, made.softmax, [masked], order)


def _require_resolution(node: Node, scale: ActivationScale) -> None:
    if scale.scale > SOFTMAX_STEP_MAX:
        rule = f"a step of what a softmax takes must be at most {SOFTMAX_STEP_MAX:g}"
        refuse(node, f"{rule}, not {scale.scale:.3g}")


def _part(block: Block, number: int, tokens: int) -> Block:
    """So many activations of a block, behind those of the parts before."""
    return replace(block, token=block.token + number * tokens * block.step, tokens=tokens)
