"""Convolutions and pools of images: pixels are activations, their channels are last."""

from __future__ import annotations

from dataclasses import replace

from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.integer_convolution import IntegerConvolution
from ssvq.network import operators as ops
from ssvq.network.compression import is_depthwise
from ssvq.network.graph import Node
from ssvq.network.integer.integer_network import ImageStep, NetworkInput
from ssvq.network.integer.lowering.matrices import matrix
from ssvq.network.integer.lowering.state import CHANNELS_SECOND, PIXELS_LAST, Lowering, refuse
from ssvq.network.integer.lowering.weights import as_matrix, integer_fields, layer_of, require_positions
from ssvq.network.integer.patches import patch_windows, takes_patches
from ssvq.network.integer.strided import Block, View
from ssvq.window_operation import WindowOperation
from ssvq.window_scales import average_pool, depthwise_of, max_pool
from ssvq_gen.format import FIELD_BY_NAME


def convolution(low: Lowering, node: Node, operator: ops.Conv2d) -> None:
    """As a product of a matrix with patches or pixels where it can be, else with the windows of the image."""
    kernel = low.graph.type_of(node.operands[1]).shape[2:]
    plain = kernel == operator.stride == (1, 1) and operator.groups == 1 and not any(operator.padding)
    if takes_patches(low.graph, node):
        _as_matrix(low, node, _patches(low, node, operator))
    elif plain:
        _as_matrix(low, node, low.view(node, node.operands[0]).transposed(PIXELS_LAST))
    elif is_depthwise(low.graph, node):
        _depthwise(low, node, operator)
    else:
        _windows(low, node, operator)


def _as_matrix(low: Lowering, node: Node, pixels: View) -> None:
    matrix(low, node, as_matrix(node, layer_of(low, node)), pixels)
    low.views[node.name] = low.views[node.name].transposed(CHANNELS_SECOND)


def _patches(low: Lowering, node: Node, operator: ops.Conv2d) -> View:
    """The input stored window by window: view (1, rows, columns, kh * kw * C)."""
    _require_one_image(low, node)
    name = node.operands[0]
    _, channels, height, width = low.graph.inputs[name].shape
    windows = patch_windows(low.graph, node, operator)
    own = NetworkInput(name=name, tensor=name, shape=(channels, height, width), permutation=(1, 2, 0), windows=windows)
    return low.store_input(own, (1, *windows.output_size(height, width), windows.positions * channels))


def _windows(low: Lowering, node: Node, operator: ops.Conv2d) -> None:
    """A convolution of all channels, or one of each group, whose channels are whole memory words."""
    source = image_block(low, node)
    layer = layer_of(low, node)
    kernel = low.graph.type_of(node.operands[1]).shape[2:]
    if kernel != (1, 1):
        require_positions(node, layer)
    geometry = geometry_of(node, (kernel[0], kernel[1]), operator.stride, operator.padding, operator.dilation)
    whole = IntegerConvolution(geometry=geometry, **integer_fields(low, node, layer))
    target = store_image(low, node)
    inputs, outputs = whole.in_channels, whole.out_channels // operator.groups
    for group in range(operator.groups):
        name = node.name if operator.groups == 1 else f"{node.name}.{group}"
        low.require_word(node, "the inputs and outputs of a group", group * inputs)
        low.require_word(node, "the inputs and outputs of a group", group * outputs)
        image_step(
            low,
            node,
            whole.select_channels(group * outputs, (group + 1) * outputs),
            replace(source, channel=source.channel + group * inputs, channels=inputs),
            replace(target, channel=group * outputs, channels=outputs),
            name=name,
        )


def _depthwise(low: Lowering, node: Node, operator: ops.Conv2d) -> None:
    layer = layer_of(low, node)
    if layer.weight_int8 is None:
        refuse(node, f"a depthwise convolution must have int8 weights, not {layer.format}")
    source, scale = image_block(low, node), low.result_scale(node)
    kernel = low.graph.type_of(node.operands[1]).shape[2:]
    operation = depthwise_of(
        replace(layer, name=node.name),
        geometry_of(node, (kernel[0], kernel[1]), operator.stride, operator.padding, operator.dilation),
        input_scale=low.scales[node.operands[0]],
        output_scale=scale,
        clamp=low.bounds(node),
    )
    image_step(low, node, operation, source, store_image(low, node))


def pool(low: Lowering, node: Node, operator: ops.AveragePool | ops.MaxPool) -> None:
    """Averages, and the largest pixels."""
    source = image_block(low, node)
    stride = _used_stride(node, operator.stride)
    geometry = geometry_of(node, operator.kernel, stride, operator.padding, (1, 1))
    scales = {"input_scale": low.scales[node.operands[0]], "output_scale": low.scales[node.name]}
    if isinstance(operator, ops.MaxPool):
        operation = max_pool(node.name, channels=source.channels, geometry=geometry, **scales)
    else:
        counted = operator.count_padding
        operation = average_pool(
            node.name, channels=source.channels, geometry=geometry, count_include_pad=counted, **scales
        )
    image_step(low, node, operation, source, store_image(low, node))


def image_block(low: Lowering, node: Node) -> Block:
    """All pixels of a node's operand, (1, C, H, W)."""
    _require_one_image(low, node)
    return low.block(node, low.view(node, node.operands[0]).transposed(PIXELS_LAST))


def store_image(low: Lowering, node: Node) -> Block:
    """Room for the pixels of a node's result, (1, N, H, W), and its view."""
    _, channels, height, width = node.type.shape
    low.views[node.name] = View.whole(node.name, (1, height, width, channels)).transposed(CHANNELS_SECOND)
    return low.store(node.name, height * width, channels, low.result_scale(node))


def image_step(
    low: Lowering,
    node: Node,
    operation: IntegerConvolution | WindowOperation,
    source: Block,
    target: Block,
    *,
    name: str | None = None,
) -> None:
    """The step of a node's whole output."""
    height, width = low.graph.type_of(node.operands[0]).shape[2:]
    rows, _ = operation.geometry.output_size(height, width)
    low.steps.append(
        ImageStep(
            name=name or node.name,
            operation=operation,
            height=height,
            width=width,
            source=source,
            rows=(0, rows),
            target=target,
        )
    )


def _require_one_image(low: Lowering, node: Node) -> None:
    count = low.graph.type_of(node.operands[0]).shape[0]
    if count != 1:
        refuse(node, f"there must be one image at a time, not {count}")


def geometry_of(
    node: Node, kernel: ops.Pair, stride: ops.Pair, padding: ops.Padding, dilation: ops.Pair
) -> ConvolutionGeometry:
    """Windows as the core has them; refuses what has no room in a descriptor."""
    for what, values in (("stride", stride), ("dilation", dilation)):
        most = FIELD_BY_NAME[f"{what}_x"].bounds[1]
        if max(values) > most:
            refuse(node, f"{what} must be at most {most}, not {values}")
    widest = FIELD_BY_NAME["kernel_width"].bounds[1]
    if kernel[1] > widest and node.type.shape[2:] != (1, 1):
        refuse(node, f"a kernel must have at most {widest} columns, not {kernel[1]}")
    top, left, bottom, right = padding
    return ConvolutionGeometry(kernel=kernel, stride=stride, padding=(top, bottom, left, right), dilation=dilation)


def _used_stride(node: Node, stride: ops.Pair) -> ops.Pair:
    """1 where there is one window only."""
    rows, columns = (1 if length == 1 else step for length, step in zip(node.type.shape[2:], stride, strict=True))
    return rows, columns
