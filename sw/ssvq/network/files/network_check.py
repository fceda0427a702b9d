"""Whether the parts of an integer network that came from a file belong together."""

from __future__ import annotations

import math

from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.network.errors import GraphError
from ssvq.network.integer.integer_network import (
    ImageStep,
    IntegerNetwork,
    NetworkInput,
    ProductStep,
    VectorStep,
    moved,
)
from ssvq.network.integer.strided import Block, View
from ssvq_gen.format import FIELD_BY_NAME


def check_network(network: IntegerNetwork) -> None:
    """Raises GraphError where a step, input or output reaches outside the stored tensors; it names it."""
    for name, tensor in network.tensors.items():
        if name != tensor.name or tensor.tokens < 1 or tensor.channels < 1:
            raise GraphError(name, f"a tensor must have a name and a size, not {tensor.tokens} x {tensor.channels}")
        if tensor.values is not None and tensor.values.shape != (tensor.tokens, tensor.channels):
            raise GraphError(name, f"values must be {tensor.tokens} x {tensor.channels}, not {tensor.values.shape}")
    for step in network.steps:
        sources: tuple[Block, ...] = ()
        targets: tuple[Block, ...] = (step.target,)
        if isinstance(step, ProductStep):  # the first and the last of a batch, as a file may say any number
            last = step.product.batch_count - 1
            if last > (most := FIELD_BY_NAME["batch_last"].bounds[1]):
                raise GraphError(step.name, f"there must be at most {most + 1} products in a batch, not {last + 1}")
            targets += step.source, step.operand, moved(step.target, step.target_stride, last)
            targets += moved(step.source, step.source_stride, last), moved(step.operand, step.operand_stride, last)
        else:
            sources = step.sources
        if isinstance(step, ImageStep):
            _check_image(step)
        for block in sources:
            _check_block(network, step.name, block, repeated=isinstance(step, VectorStep))
        for block in targets:
            _check_block(network, step.name, block)
    for own in network.inputs:
        if sorted(own.permutation) != list(range(len(own.shape))):
            raise GraphError(own.name, f"an input's axes must each have a place, not {own.permutation}")
        stored = network.tensors.get(own.tensor)
        if stored is None or _stored_size(own) != stored.tokens * stored.channels:
            raise GraphError(own.name, f"an input must be all of a tensor, not {own.shape} of {own.tensor!r}")
    for name, view in network.outputs.items():
        if name not in network.output_scales:
            raise GraphError(name, "an output must have a scale")
        _check_view(network, name, view)


def _stored_size(own: NetworkInput) -> int:
    """Numbers of an input as it is stored."""
    if own.windows is None:
        return math.prod(own.shape)
    if len(own.shape) != 3:
        raise GraphError(own.name, f"windows are of an image (H, W, C), not {own.shape}")
    _check_padding(own.name, own.windows)
    height, width, channels = (own.shape[axis] for axis in own.permutation)
    return math.prod(own.windows.output_size(height, width)) * own.windows.positions * channels


def _check_image(step: ImageStep) -> None:
    """Before anything is computed, which of numbers out of reach could take any memory and time."""
    geometry = step.operation.geometry
    _check_padding(step.name, geometry)
    for what in ("stride", "dilation"):
        if max(values := getattr(geometry, what)) > (most := FIELD_BY_NAME[f"{what}_x"].bounds[1]):
            raise GraphError(step.name, f"{what} must be at most {most}, not {values}")
    (start, stop), most = step.rows, FIELD_BY_NAME["input_height"].bounds[1]
    if not 1 <= min(step.height, step.width) <= max(step.height, step.width) <= most:
        raise GraphError(
            step.name, f"an image must have 1 to {most} rows and columns, not {step.height} x {step.width}"
        )
    rows, columns = geometry.output_size(step.height, step.width)
    if not 0 <= start < stop <= rows or step.target.tokens != (stop - start) * columns:
        raise GraphError(step.name, f"rows {start} to {stop} of {rows} x {columns} must be its {step.target}")


def _check_padding(name: str, geometry: ConvolutionGeometry) -> None:
    if max(geometry.padding) > (most := FIELD_BY_NAME["origin_x"].bounds[1]):
        raise GraphError(name, f"padding must be at most {most}, not {geometry.padding}")


def _check_block(network: IntegerNetwork, step: str, block: Block, *, repeated: bool = False) -> None:
    """With `repeated`, one activation may stand for all."""
    tensor = network.tensors.get(block.tensor)
    if tensor is None:
        raise GraphError(step, f"there is no tensor {block.tensor!r}")
    least = min(block.token, block.channel, block.tokens - 1, block.channels - 1, block.step - (not repeated))
    last = block.token + (block.tokens - 1) * block.step
    if least < 0 or last >= tensor.tokens or block.channel + block.channels > tensor.channels:
        raise GraphError(step, f"{block} is not within {tensor.tokens} x {tensor.channels}")


def _check_view(network: IntegerNetwork, name: str, view: View) -> None:
    tensor = network.tensors.get(view.tensor)
    size = tensor.tokens * tensor.channels if tensor else 0
    reach = sum((length - 1) * stride for length, stride in zip(view.shape, view.strides, strict=True))
    if min((view.offset, *view.strides)) < 0 or min(view.shape, default=1) < 1 or view.offset + reach >= size:
        raise GraphError(name, f"{view} is not within its tensor")
