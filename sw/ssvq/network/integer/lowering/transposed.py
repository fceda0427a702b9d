"""Transposed convolutions: a convolution for each place of the output within a stride.

Output pixels that are a stride apart come from the same kernel positions, so they are a convolution by themselves.
Those of one row of the stride are written between each other at once; rows are then copied to their places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.integer_convolution import IntegerConvolution
from ssvq.network import operators as ops
from ssvq.network.graph import Node
from ssvq.network.integer.lowering.images import image_block, image_step, store_image
from ssvq.network.integer.lowering.movement import copy
from ssvq.network.integer.lowering.state import Lowering, refuse
from ssvq.network.integer.lowering.weights import integer_fields, layer_of, select_positions
from ssvq.network.integer.strided import Block
from ssvq.quantize.layer import CompressedLayer


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Every `stride`-th place of one axis of the output, from a place on.

    taps : kernel positions that reach them, in the order of the input's
    before, after : padding of the input
    count : places
    """

    taps: tuple[int, ...]
    before: int
    after: int
    count: int


def phase(first: int, *, kernel: int, stride: int, cut: int, length: int, outputs: int) -> Phase:
    """The places `first`, `first + stride`, ... of an axis of `outputs` places, of an input of `length`.

    `cut` is what the operator cuts off in front: kernel position k of input place i is at the output's
    `stride * i + k - cut`. Paddings may be negative: places that no window needs.
    """
    least = (first + cut) % stride
    taps = tuple(reversed(range(least, kernel, stride)))
    last_input = (first + cut - least) // stride  # of the first place
    count = -(-(outputs - first) // stride)
    return Phase(taps=taps, before=len(taps) - 1 - last_input, after=count + last_input - length, count=count)


def transposed_convolution(low: Lowering, node: Node, operator: ops.ConvTranspose2d) -> None:
    """Steps for each row of the stride; see the file."""
    if operator.groups != 1 or operator.dilation != (1, 1):
        refuse(node, "a transposed convolution must be without groups and dilation")
    layer = layer_of(low, node)
    if layer.kind != "conv_transpose2d":
        refuse(node, f"its compressed layer must be that of a transposed convolution, not a {layer.kind}")
    source, target = image_block(low, node), store_image(low, node)
    rows, columns = (_phases(low, node, operator, axis) for axis in (0, 1))
    width = node.type.shape[3]
    if width % len(columns):
        rule = f"columns must be a multiple of the stride {len(columns)}, not {width}"
        refuse(node, f"{rule}: set output_padding to {len(columns) - width % len(columns)} more")
    for y, row in enumerate(rows):
        lines = target
        if len(rows) > 1:
            lines = low.store(f"{node.name}.{y}", row.count * width, target.channels, low.result_scale(node))
        for x, column in enumerate(columns):
            between = replace(lines, token=x, tokens=row.count * column.count, step=len(columns))
            convolution = _convolution(low, node, layer, row, column)
            image_step(low, node, convolution, source, between, name=f"{node.name}.{y}.{x}")
        for number in range(row.count if len(rows) > 1 else 0):
            place = y + number * len(rows)
            part, whole = (
                Block(tensor=block.tensor, token=at * width, tokens=width, channels=block.channels)
                for block, at in ((lines, number), (target, place))
            )
            copy(low, node, f"{node.name}.row{place}", part, whole, scale=low.result_scale(node))


def _phases(low: Lowering, node: Node, operator: ops.ConvTranspose2d, axis: int) -> Sequence[Phase]:
    kernel = low.graph.type_of(node.operands[1]).shape[2 + axis]
    found = [
        phase(
            first,
            kernel=kernel,
            stride=operator.stride[axis],
            cut=operator.padding[axis],
            length=low.graph.type_of(node.operands[0]).shape[2 + axis],
            outputs=node.type.shape[2 + axis],
        )
        for first in range(operator.stride[axis])
    ]
    if any(not one.taps or min(one.before, one.after) < 0 or one.count < 1 for one in found):
        rule = "the kernel must be at least as long as the stride, and padding less than what it adds"
        refuse(node, f"{rule}, not kernel {kernel}, stride {operator.stride[axis]}, padding {operator.padding}")
    return found


def _convolution(low: Lowering, node: Node, layer: CompressedLayer, row: Phase, column: Phase) -> IntegerConvolution:
    """The convolution of a place within the stride."""
    width = layer.weight_shape[3]
    positions = [y * width + x for y in row.taps for x in column.taps]
    part = select_positions(layer, positions, (len(row.taps), len(column.taps)))
    padding = (row.before, row.after, column.before, column.after)
    geometry = ConvolutionGeometry(kernel=(len(row.taps), len(column.taps)), padding=padding)
    return IntegerConvolution(geometry=geometry, **integer_fields(low, node, part))
