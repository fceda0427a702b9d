"""Compressed layers in the form that a step takes: some kernel positions, or all of them as one matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from ssvq.integer_weights import fixed_fields
from ssvq.network.graph import Node
from ssvq.network.integer.lowering.state import Lowering, refuse
from ssvq.quantize.layer import CompressedLayer

_OF_POSITIONS = ("indices", "signs", "mask", "weight_int8")
"""Tensors (N, P, ...) of a layer."""


def layer_of(low: Lowering, node: Node) -> CompressedLayer:
    """The layer of a convolution, (N, K, kh, kw) or a matrix (N, kh * kw * K); refuses one of another shape."""
    layer = low.layer(node)
    shape = low.graph.type_of(node.operands[1]).shape
    if layer.kind == "conv_transpose2d":
        shape = (node.type.shape[1], shape[0] // layer.groups, *shape[2:])
    if layer.weight_shape not in (shape, (shape[0], math.prod(shape[1:]))):
        refuse(node, f"its compressed layer must have weights of shape {shape}, not {layer.weight_shape}")
    return layer


def as_matrix(node: Node, layer: CompressedLayer) -> CompressedLayer:
    """A convolution's layer for its windows as activations, (N, kh * kw * K)."""
    if layer.kind == "linear":
        return layer
    outputs, inputs, *kernel = layer.weight_shape
    if math.prod(kernel) > 1 and layer.vector_dim is not None and inputs % layer.vector_dim:
        rule = f"vector_dim {layer.vector_dim} must divide the {inputs} channels of a pixel, or the layer be a matrix"
        refuse(node, f"its input is stored as patches: {rule}")
    shape = (outputs, math.prod(kernel) * inputs)
    return _changed(layer, lambda tensor: tensor.flatten(1)[:, None], kind="linear", weight_shape=shape)


def integer_fields(low: Lowering, node: Node, layer: CompressedLayer) -> dict[str, Any]:
    """Fields of `IntegerWeights` of a node's layer, or of a part of it, with the clamp that follows."""
    return fixed_fields(
        layer,
        input_scale=low.scales[node.operands[0]],
        output_scale=low.result_scale(node),
        activation=low.activation(node),
        exact_bias=False,
    )


def require_positions(node: Node, layer: CompressedLayer) -> None:
    """Refuse a matrix whose subvectors may be in several pixels."""
    if layer.kind == "linear" and layer.vector_dim is not None:
        refuse(node, "its compressed layer must be that of a convolution, not a matrix: its input is no patches")


def select_positions(layer: CompressedLayer, positions: Sequence[int], kernel: tuple[int, int]) -> CompressedLayer:
    """Some kernel positions of a layer, in an order, as a kernel of that size."""
    shape = (*layer.weight_shape[:2], *kernel)
    return _changed(layer, lambda tensor: tensor[:, list(positions)], kind="conv2d", weight_shape=shape)


def _changed(layer: CompressedLayer, change: Callable[[Tensor], Tensor], **fields: Any) -> CompressedLayer:
    """A layer with other positions; one of a format without integers, which the core refuses, as it is."""
    if layer.weight_float is not None:
        return layer
    tensors = {field: getattr(layer, field) for field in _OF_POSITIONS}
    fields |= {field: None if tensor is None else change(tensor) for field, tensor in tensors.items()}
    return replace(layer, stride=1, padding=0, dilation=1, output_padding=0, **fields)
