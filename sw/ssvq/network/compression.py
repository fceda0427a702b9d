"""Compressed weights of a graph's layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from torch import Tensor

from ssvq.network import operators as ops
from ssvq.network.errors import GraphError
from ssvq.network.graph import Graph, Node
from ssvq.network.integer.patches import overlaps, takes_patches
from ssvq.quantize.description import canonical_weight
from ssvq.quantize.encode import encode
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.quantize.layer import CompressedLayer

Choice = Callable[[Node], QuantizeConfig]
"""How a node's weights are stored."""
INT8 = QuantizeConfig(format=WeightFormat.INT8)


def default_choice(graph: Graph, weights: QuantizeConfig) -> Choice:
    """`weights` for matrices and convolutions; int8 where a codebook cannot be, or is of no use.

    That is in depthwise convolutions, in first layers whose windows overlap, where `vector_dim` does not divide the
    input channels, and where there are fewer subvectors than codewords.
    """

    def choose(node: Node) -> QuantizeConfig:
        if not weights.format.has_codebook:
            return weights
        size, dim = weights.codebook
        operator = node.operator
        weight = _canonical(graph, node)
        rows = weight.permute(0, 2, 3, 1).flatten(1) if takes_patches(graph, node) else weight
        packed = isinstance(operator, ops.Conv2d) and takes_patches(graph, node) and overlaps(graph, node, operator)
        fits = rows.shape[1] % dim == 0 and rows.numel() // dim >= size
        return INT8 if packed or is_depthwise(graph, node) or not fits else weights

    return choose


def is_depthwise(graph: Graph, node: Node) -> bool:
    """Whether a convolution has a kernel for each channel."""
    operator = node.operator
    if not isinstance(operator, ops.Conv2d) or operator.groups == 1:
        return False
    return operator.groups == graph.type_of(node.operands[0]).shape[1] == node.type.shape[1]


def compress_graph(
    graph: Graph, choose: Choice, *, importance: Mapping[str, Tensor] = MappingProxyType({})
) -> dict[str, CompressedLayer]:
    """The layers of all nodes with a weight by node name, batch norms included.

    They have the kind and the shape of their modules. But a convolution whose input is stored as patches (see
    `takes_patches`), and one of 1 x 1, is a matrix: (outputs, kernel rows * kernel columns * inputs).

    Args:
        graph: a network.
        choose: format of a node's weights, see `default_choice`.
        importance: of input channels by node name, where errors do not count alike, see `input_moments`.

    Raises:
        GraphError: a codebook for a depthwise convolution, whose kernels have no input channels to make vectors of.
        ValueError: weights that cannot be compressed as chosen; the text names the node.
    """
    layers: dict[str, CompressedLayer] = {}
    for node in graph.nodes:
        if isinstance(node.operator, ops.Linear | ops.Conv2d | ops.ConvTranspose2d):
            config = choose(node)
            if is_depthwise(graph, node) and config.format is not WeightFormat.INT8:
                raise GraphError(node.name, f"a depthwise convolution must have int8 weights, not {config.format}")
            bias = graph.constants[node.operands[2]] if len(node.operands) > 2 else None
            weight = _canonical(graph, node)
            if weight.ndim == 4 and (takes_patches(graph, node) or _is_matrix(weight, node.operator)):
                weight = weight.permute(0, 2, 3, 1).flatten(1)
            described = {} if weight.ndim == 2 else _description(node.operator)
            layers[node.name] = encode(
                weight, config, importance.get(node.name), bias=bias, name=node.name, **described
            )
    return layers


def _canonical(graph: Graph, node: Node) -> Tensor:
    """The weight with outputs first: (N, K), or (N, K, kh, kw) with the inputs of a group."""
    weight = graph.constants[node.operands[1]]
    if isinstance(node.operator, ops.ConvTranspose2d):
        return canonical_weight(weight, "conv_transpose2d", node.operator.groups)
    return weight


def _is_matrix(weight: Tensor, operator: ops.Operator) -> bool:
    return isinstance(operator, ops.Conv2d) and operator.groups == 1 and tuple(weight.shape[2:]) == (1, 1)


def _description(operator: ops.Operator) -> dict[str, Any]:
    """Kind and geometry; what is not the same in all directions only the graph has."""
    if not isinstance(operator, ops.Conv2d | ops.ConvTranspose2d):
        return {}
    found: dict[str, Any] = {
        "kind": "conv2d",
        "groups": operator.groups,
        "stride": _common(operator.stride, 1),
        "padding": _common(operator.padding, 0),
        "dilation": _common(operator.dilation, 1),
    }
    if isinstance(operator, ops.ConvTranspose2d):
        found |= {"kind": "conv_transpose2d", "output_padding": _common(operator.output_padding, 0)}
    return found


def _common(values: Sequence[int], default: int) -> int:
    return values[0] if len(set(values)) == 1 else default
