"""Sizes of what an ONNX operation will give, before it runs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import onnx
import onnx.shape_inference
from torch import Tensor

from ssvq.network.tensor_type import Shape, TensorType, short

_KNOWN_MAX = 4096
"""Elements of a constant that shape inference is given: shapes, repeats and paddings are short."""
_EQUATION = re.compile(rb"[A-Za-z,. ]*(->[A-Za-z. ]*)?")
_ITEMSIZE = 8
"""Bytes of an element of unknown type: the largest there are."""


def result_sizes(
    node: onnx.NodeProto,
    types: Sequence[TensorType | None],
    constants: Sequence[Tensor | None],
    opsets: Sequence[onnx.OperatorSetIdProto],
) -> list[tuple[Shape, int]]:
    """Shape and bytes of an element of each result.

    They are what ONNX's shape inference says. Where it does not know a length, a result stands for one with an element
    for every combination of the operands' elements, as in an outer product.

    Args:
        node: the operation.
        types: of its inputs, None for one that is left out.
        constants: their values, None where these are not known.
        opsets: of the file.

    Raises ValueError, or an InferenceError of ONNX's, where the operands are none that the operation has.
    """
    given, stored = {}, {}
    for name, kind, constant in zip(node.input, types, constants, strict=True):
        if kind is not None:
            element = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(short(kind.dtype)))
            given[name] = onnx.helper.make_tensor_value_info(name, element, kind.shape)
            if constant is not None and constant.numel() <= _KNOWN_MAX:
                stored[name] = onnx.numpy_helper.from_array(constant.numpy(), name)
    names = [name for name in node.output if name]
    outputs = [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in names]
    graph = onnx.helper.make_graph([node], "node", list(given.values()), outputs, list(stored.values()))
    model = onnx.helper.make_model(graph, opset_imports=list(opsets))
    _require_equation(node)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    found = {value.name: value.type.tensor_type for value in (*inferred.output, *inferred.value_info)}
    outer = (math.prod(max(1, kind.size) for kind in types if kind is not None),)
    return [_size(found[name], outer) for name in names]


def _require_equation(node: onnx.NodeProto) -> None:
    """Raises ValueError for what Einsum does not have: ONNX's shape inference comes to no end with it."""
    for attribute in node.attribute:
        if attribute.name == "equation" and not _EQUATION.fullmatch(attribute.s):
            raise ValueError(f"equation must be of letters, commas, dots and an arrow, not {attribute.s!r:.80}")


def _size(kind: onnx.TypeProto.Tensor, outer: Shape) -> tuple[Shape, int]:
    is_known = kind.HasField("shape") and all(dimension.HasField("dim_value") for dimension in kind.shape.dim)
    shape = tuple(dimension.dim_value for dimension in kind.shape.dim) if is_known else outer
    try:
        return shape, onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).itemsize
    except KeyError:
        return shape, _ITEMSIZE
