"""Running an ONNX operation on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class OnnxFunction:
    """A node of an ONNX file, run by ONNX's reference evaluator: a HostFunction.

    Attributes:
        node: the operation, with its attributes.
        opsets: which version of each domain it is of.
        constants: those of its inputs that are constants, by name.
        result: number of the result, of those that have a name.
    """

    node: onnx.NodeProto
    opsets: Sequence[onnx.OperatorSetIdProto]
    constants: Mapping[str, Tensor]
    result: int = 0

    def __call__(self, *operands: Tensor) -> Tensor:
        """The result, for those inputs that are no constants, each once."""
        names = [name for name in dict.fromkeys(self.node.input) if name and name not in self.constants]
        tensors = {**self.constants, **dict(zip(names, operands, strict=True))}
        feeds = {name: tensor.numpy() for name, tensor in tensors.items()}
        found = self._evaluator.run(None, feeds)[self.result]
        return torch.from_numpy(np.array(found, order="C"))  # a copy: PyTorch takes no reversed or read-only arrays

    @cached_property
    def _evaluator(self) -> Any:
        unknown = onnx.TypeProto()
        inputs = [onnx.helper.make_value_info(name, unknown) for name in dict.fromkeys(self.node.input) if name]
        outputs = [onnx.helper.make_value_info(name, unknown) for name in self.node.output if name]
        graph = onnx.helper.make_graph([self.node], "node", inputs, outputs)
        return ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=list(self.opsets)))


@dataclass(frozen=True, eq=False)
class ResizeFunction:
    """A resampling of images by PyTorch, which is hundreds of times as fast as the reference evaluator's.

    Attributes:
        size: rows and columns of the result.
        mode: as of `torch.nn.functional.interpolate`.
        align_corners: likewise.
    """

    size: tuple[int, int]
    mode: str
    align_corners: bool

    def __call__(self, *operands: Tensor) -> Tensor:
        """The images, which are the operand, at the size."""
        (images,) = operands
        return functional.interpolate(images, self.size, mode=self.mode, align_corners=self.align_corners)


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
