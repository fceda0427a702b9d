"""Means over activations, such as all tokens of a sequence: the sum of one window that is all of them."""

from __future__ import annotations

import math
from dataclasses import replace

from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.network import operators as ops
from ssvq.network.graph import Node
from ssvq.network.integer.integer_network import ImageStep
from ssvq.network.integer.lowering.state import Lowering, refuse
from ssvq.network.integer.strided import View, inverse_order
from ssvq.window_scales import average_pool


def mean(low: Lowering, node: Node, operator: ops.Mean) -> None:
    """One step for each mean: the activations are a column of pixels."""
    view = low.view(node, node.operands[0])
    order = low.order(view)
    if order[-1] in operator.axes and view.shape[order[-1]] > 1:
        refuse(node, "a mean must be over activations, not over channels")
    kept = [axis for axis in order[:-1] if axis not in operator.axes]
    outer, inner = (math.prod(view.shape[axis] for axis in axes) for axes in (kept, operator.axes))
    columns = view.transposed((*kept, *(axis for axis in order[:-1] if axis in operator.axes), order[-1]))
    parts = columns.reshaped((outer, inner, view.shape[order[-1]]))
    if parts is None:
        refuse(node, "the activations of a mean must be evenly spaced")
    operation = average_pool(
        node.name,
        channels=parts.shape[-1],
        geometry=ConvolutionGeometry(kernel=(inner, 1)),
        input_scale=low.scales[node.operands[0]],
        output_scale=low.scales[node.name],
    )
    whole = low.store(node.name, outer, parts.shape[-1], low.scales[node.name])
    for number in range(outer):
        source = low.block(node, parts.sliced(0, number, number + 1, 1))
        low.steps.append(
            ImageStep(
                name=node.name if outer == 1 else f"{node.name}.{number}",
                operation=operation,
                height=inner,
                width=1,
                source=source,
                rows=(0, 1),
                target=replace(whole, token=number, tokens=1),
            )
        )
    shape = tuple(node.type.shape[axis] for axis in order)
    low.views[node.name] = View.whole(node.name, shape).transposed(inverse_order(order))
