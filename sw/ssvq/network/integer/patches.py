"""First layers whose input the host stores window by window, so that a few colours fill the rows of the array."""

from __future__ import annotations

from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.network import operators as ops
from ssvq.network.graph import Graph, Node

FEW_CHANNELS = 4
"""Channels up to which windows are stored even where they overlap. A pixel takes a whole memory word otherwise."""


def takes_patches(graph: Graph, node: Node) -> bool:
    """Whether the input of a convolution is stored as one activation (kh * kw * C) for each window.

    That is an input of the network that nothing else takes, with few channels or with windows that do not overlap.
    """
    operator = node.operator
    if not isinstance(operator, ops.Conv2d) or operator.groups != 1 or operator.dilation != (1, 1):
        return False
    name = node.operands[0]
    if name not in graph.inputs or graph.only_user(name) != node:
        return False
    return graph.inputs[name].shape[1] <= FEW_CHANNELS or not overlaps(graph, node, operator)


def overlaps(graph: Graph, node: Node, operator: ops.Conv2d) -> bool:
    """Whether a pixel may be in several windows of a convolution."""
    kernel = graph.type_of(node.operands[1]).shape[2:]
    return any(length > step for length, step in zip(kernel, operator.stride, strict=True))


def patch_windows(graph: Graph, node: Node, operator: ops.Conv2d) -> ConvolutionGeometry:
    """The windows of such a convolution."""
    height, width = graph.type_of(node.operands[1]).shape[2:]
    top, left, bottom, right = operator.padding
    return ConvolutionGeometry(kernel=(height, width), stride=operator.stride, padding=(top, bottom, left, right))
