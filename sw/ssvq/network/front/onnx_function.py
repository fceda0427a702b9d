"""What computes an ONNX operation on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import torch
from torch import Tensor

from ssvq.network.hosting.onnx_function import OnnxAttribute, OnnxFunction, ResizeFunction

OWN_DOMAINS = ("", "ai.onnx")
"""Two names of one domain."""


def onnx_function(
    node: onnx.NodeProto, opsets: Sequence[onnx.OperatorSetIdProto], constants: Mapping[str, Tensor], result: int
) -> OnnxFunction:
    """The function of a node of a file, for one of its results; `constants` are those of its inputs, by name.

    Raises ValueError where an attribute is no number, string or tensor.
    """
    return OnnxFunction(
        operation=node.op_type,
        domain=_domain(node.domain),
        inputs=tuple(node.input),
        outputs=tuple(node.output),
        attributes={attribute.name: _attribute(attribute) for attribute in node.attribute},
        opsets={_domain(opset.domain): opset.version for opset in opsets},
        constants=constants,
        result=result,
    )


def _domain(domain: str) -> str:
    return "" if domain in OWN_DOMAINS else domain


def _attribute(attribute: onnx.AttributeProto) -> OnnxAttribute:
    value = onnx.helper.get_attribute_value(attribute)
    several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    plain = tuple(map(_plain, value)) if several else _plain(value)
    return OnnxAttribute(attribute.type, plain)


def _plain(value: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        return torch.tensor(onnx.numpy_helper.to_array(value))
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, int | float):
        raise ValueError(f"an attribute must be a number, a string or a tensor, not {type(value).__name__}")
    return value


def resize_function(
    node: onnx.NodeProto, shape: tuple[int, ...], operands: Sequence[Tensor | None]
) -> ResizeFunction | None:
    """PyTorch's function for a Resize of images of this shape; None where PyTorch has none that is the same.

    `operands` are those of the node, None where they are no constants.
    """
    settings = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    mode = {b"linear": "bilinear", b"cubic": "bicubic"}.get(settings.pop("mode", b"nearest"))
    corners = settings.pop("coordinate_transformation_mode", b"half_pixel")
    settings.pop("nearest_mode", None)  # without meaning here
    _, scales, sizes = (*operands[1:], None, None, None)[:3]
    if sizes is not None and sizes.numel():
        wanted = [float(size) for size in sizes.tolist()]
    elif scales is not None and scales.numel():
        wanted = [float(scale) * length for scale, length in zip(scales.tolist(), shape, strict=False)]
    else:
        return None
    is_known = corners in (b"half_pixel", b"align_corners") and settings in ({}, {"cubic_coeff_a": -0.75})
    is_image = len(wanted) == len(shape) == 4 and tuple(wanted[:2]) == shape[:2]
    if mode is None or not is_known or not is_image or any(length != int(length) for length in wanted):
        return None
    return ResizeFunction((int(wanted[2]), int(wanted[3])), mode, corners == b"align_corners")
