"""Products with matrices: of weights, and of activations with each other."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

from ssvq.integer_layer import IntegerLayer
from ssvq.network import operators as ops
from ssvq.network.graph import Graph, Node
from ssvq.network.integer.integer_network import LinearStep, ProductStep
from ssvq.network.integer.lowering.partial_words import (
    beside_each_other,
    is_within_words,
    products_of_columns,
    products_of_rows,
)
from ssvq.network.integer.lowering.state import Lowering, refuse
from ssvq.network.integer.strided import Block, View
from ssvq.network.integer.value_scales import constant_factor
from ssvq.product import IntegerProduct
from ssvq.quantize.layer import CompressedLayer


def linear(low: Lowering, node: Node, _operator: ops.Linear) -> None:
    """A product with weights; its outputs part by part where something takes parts that begin within a word."""
    layer, view = low.layer(node), low.view(node, node.operands[0])
    if parts := _parts_within_words(low, node):
        source, made = _layer(low, node, layer, view)
        for number, (part, start, stop) in enumerate(parts):
            target = low.store(part.name, source.tokens, stop - start, low.scales[node.name])
            weights = made.select_channels(start, stop)
            low.steps.append(LinearStep(name=f"{node.name}.{number}", layer=weights, source=source, target=target))
            low.views[part.name], low.scales[part.name] = View.whole(part.name, part.type.shape), low.scales[node.name]
        return
    matrix(low, node, layer, view)


def _parts_within_words(low: Lowering, node: Node) -> list[tuple[Node, int, int]]:
    """Slices that are all that takes a layer's outputs, with their channels; none where all begin with words.

    None either where parts overlap, or have a step.
    """
    users, last = low.graph.users.get(node.name, ()), len(node.type.shape) - 1
    parts = []
    for user in users:
        own = user.operator
        if not isinstance(own, ops.Slice) or own.axis != last or own.step != 1:
            return []
        parts.append((user, own.start, own.stop))
    ordered = sorted(parts, key=lambda part: part[1:])
    overlap = any(before[2] > after[1] for before, after in pairwise(ordered))
    within = any(start % low.word_bytes for _, start, _ in ordered)
    return ordered if within and not overlap and node.name not in low.graph.outputs.values() else []


def matrix(low: Lowering, node: Node, layer: CompressedLayer, view: View) -> None:
    """A product of a matrix of weights with a view's last axis, with the clamp that follows."""
    source, made = _layer(low, node, layer, view)
    target = low.store(node.name, source.tokens, made.out_channels, low.result_scale(node))
    low.steps.append(LinearStep(name=node.name, layer=made, source=source, target=target))
    low.views[node.name] = View.whole(node.name, (*view.shape[:-1], made.out_channels))


def _layer(low: Lowering, node: Node, layer: CompressedLayer, view: View) -> tuple[Block, IntegerLayer]:
    """What a layer reads, and its integers."""
    source = low.block(node, view)
    made = IntegerLayer.from_compressed(
        layer,
        input_scale=low.scales[node.operands[0]],
        output_scale=low.result_scale(node),
        activation=low.activation(node),
    )
    if made.in_channels != source.channels:
        refuse(node, f"its compressed layer must have {source.channels} inputs, not {made.in_channels}")
    return source, made


def product(low: Lowering, node: Node, _operator: ops.MatMul) -> None:
    """All products of a batch."""
    left, right = (low.view(node, operand) for operand in node.operands)
    batch = math.prod(node.type.shape[:-2])
    transposed = right.strides[-1] != 1
    if transposed:
        right = right.transposed((*range(len(right.shape) - 2), len(right.shape) - 1, len(right.shape) - 2))
    if is_within_words(low, left) or is_within_words(low, right):
        if transposed:
            products_of_columns(low, node, left, right, _store_products(low, node, batch))
        else:
            products_of_rows(low, node, left, right)
        return
    inputs, source_stride = _batch(low, node, left, batch)
    operand, operand_stride = _batch(low, node, right, batch)
    made = IntegerProduct.from_scales(
        name=node.name,
        tokens=node.type.shape[-2],
        in_channels=inputs.channels,
        out_channels=node.type.shape[-1],
        batch_count=batch,
        transposed=transposed,
        input_scale=low.scales[node.operands[0]],
        operand_scale=low.scales[node.operands[1]],
        output_scale=low.scales[node.name],
    )
    target, target_stride = _store_products(low, node, batch)
    low.steps.append(
        ProductStep(
            name=node.name,
            product=made,
            source=inputs,
            operand=operand,
            target=target,
            source_stride=source_stride,
            operand_stride=operand_stride,
            target_stride=target_stride,
        )
    )


def _batch(low: Lowering, node: Node, view: View, batch: int) -> tuple[Block, tuple[int, int]]:
    """The first matrix of a batch, and activations and channels to the next."""
    stored = low.tensors[view.tensor].channels
    matrices = view.reshaped((batch, *view.shape[-2:]))
    if matrices is None:
        refuse(node, "the matrices of a batch must be evenly spaced")
    first = replace(matrices, shape=matrices.shape[1:], strides=matrices.strides[1:])
    stride = divmod(matrices.strides[0], stored) if batch > 1 else (0, 0)
    block = low.block(node, first)
    low.require_word(node, "matrices of a batch", stride[1])
    if block.channel + (batch - 1) * stride[1] + block.channels > stored:
        refuse(node, f"matrices of a batch must be in the same activations or in others, not {stride} apart")
    return block, stride


def _store_products(low: Lowering, node: Node, batch: int) -> tuple[Block, tuple[int, int]]:
    """Room for the products: beside each other where they are whole words, else one below the other.

    Scores are one below the other in any case, as a softmax is over all channels of an activation. The result is the
    first product, and activations and channels to the next.
    """
    shape = node.type.shape
    (tokens, channels), scale = shape[-2:], low.scales[node.name]
    if channels % low.word_bytes or _are_scores(low.graph, node):
        whole = low.store(node.name, batch * tokens, channels, scale)
        low.views[node.name] = View.whole(node.name, shape)
        return replace(whole, tokens=tokens), (tokens, 0)
    whole = low.store(node.name, tokens, batch * channels, scale)
    low.views[node.name] = beside_each_other(node.name, shape)
    return replace(whole, channels=channels), (0, channels)


def _are_scores(graph: Graph, node: Node) -> bool:
    """Whether a softmax takes the products, or the products times a number."""
    users = graph.users.get(node.name, ())
    if any(isinstance(user.operator, ops.Softmax) for user in users):
        return True
    return any(constant_factor(graph, user) is not None and _are_scores(graph, user) for user in users)
