"""Running an ONNX operation on the host, of plain data. Running, but not reading, needs the package `onnx`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class OnnxAttribute:
    """An attribute of an ONNX node.

    Attributes:
        kind: number of its type, of `onnx.AttributeProto`.
        value: a number, a string, a tensor, or a tuple of one of these.
    """

    kind: int
    value: float | str | Tensor | tuple[float, ...] | tuple[str, ...] | tuple[Tensor, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxFunction:
    """A node of an ONNX file, run by ONNX's reference evaluator: a HostFunction.

    Attributes:
        operation: such as `TopK`.
        domain: of the operation; "" is ONNX's own.
        inputs: their names, "" for one that is left out.
        outputs: likewise.
        attributes: by name.
        opsets: version of each domain.
        constants: those of its inputs that are constants, by name.
        result: number of the result, of those that have a name.
    """

    operation: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, OnnxAttribute]
    opsets: Mapping[str, int]
    constants: Mapping[str, Tensor]
    result: int = 0

    def __call__(self, *operands: Tensor) -> Tensor:
        """The result, for those inputs that are no constants, each once."""
        names = [name for name in dict.fromkeys(self.inputs) if name and name not in self.constants]
        tensors = {**self.constants, **dict(zip(names, operands, strict=True))}
        feeds = {name: tensor.numpy() for name, tensor in tensors.items()}
        found = self._evaluator.run(None, feeds)[self.result]
        return torch.from_numpy(np.array(found, order="C"))  # a copy: PyTorch takes no reversed or read-only arrays

    @cached_property
    def _evaluator(self) -> Any:
        onnx = importlib.import_module("onnx")  # of the extra `models`, which few files need
        node = onnx.helper.make_node(self.operation, self.inputs, self.outputs, domain=self.domain)
        for name, attribute in self.attributes.items():
            value = _onnx_value(attribute.value, onnx)
            node.attribute.append(onnx.helper.make_attribute(name, value, attr_type=attribute.kind))
        unknown = onnx.TypeProto()
        inputs = [onnx.helper.make_value_info(name, unknown) for name in dict.fromkeys(self.inputs) if name]
        outputs = [onnx.helper.make_value_info(name, unknown) for name in self.outputs if name]
        opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in self.opsets.items()]
        model = onnx.helper.make_model(onnx.helper.make_graph([node], "node", inputs, outputs), opset_imports=opsets)
        return importlib.import_module("onnx.reference").ReferenceEvaluator(model)


def _onnx_value(value: Any, onnx: Any) -> Any:
    if isinstance(value, tuple):
        return [_onnx_value(item, onnx) for item in value]
    return onnx.numpy_helper.from_array(value.numpy()) if isinstance(value, Tensor) else value


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
