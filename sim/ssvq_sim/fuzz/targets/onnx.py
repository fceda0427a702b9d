"""Networks as ONNX files."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from ssvq.network.errors import GraphError
from ssvq.network.front.allowance import SPARE_BYTES
from ssvq.network.front.from_onnx import graph_of_onnx

from ..scratch import as_file
from ..target import Target, Tree, UnwritableError

Node = onnx.NodeProto


def _node(kind: str, *inputs: str, output: str, **attributes: Any) -> Node:
    return helper.make_node(kind, inputs, [output], name=f"n_{output}", **attributes)


def _stored(name: str, values: Any, dtype: Any = np.float32) -> TensorProto:
    return numpy_helper.from_array(np.array(values, dtype=dtype), name)


def _model(nodes: list[Node], constants: list[TensorProto], shape: tuple[int, ...], output: str) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info(output, TensorProto.FLOAT, [])  # nothing reads its shape
    graph = helper.make_graph(nodes, "graph", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return bytes(model.SerializeToString(deterministic=True))


def _image() -> bytes:
    """Layers of images, and a resampling."""
    nodes = [
        _node("Conv", "x", "w", "b", output="c", pads=[1, 1, 1, 1], strides=[1, 1]),
        _node("Relu", "c", output="r"),
        _node("MaxPool", "r", output="p", kernel_shape=[2, 2], strides=[2, 2]),
        _node("Resize", "p", "", "scales", output="s", mode="nearest", nearest_mode="floor"),
        _node("Pad", "s", "pads", output="d"),
        _node("GlobalAveragePool", "d", output="g"),
        _node("Flatten", "g", output="y"),
    ]
    constants = [
        _stored("w", np.ones((3, 2, 3, 3))),
        _stored("b", [0, 1, 2]),
        _stored("scales", [1, 1, 2, 2]),
        _stored("pads", [0, 0, 1, 1, 0, 0, 1, 1], np.int64),
    ]
    return _model(nodes, constants, (1, 2, 4, 4), "y")


def _tokens() -> bytes:
    """Layers of rows, and constants that the file computes."""
    nodes = [
        _node("ConstantOfShape", "shape", output="filled", value=_stored("", [1.0])),
        _node("Expand", "filled", "wide", output="expanded"),
        _node("Range", "start", "limit", "delta", output="range"),
        _node("Gather", "expanded", "range", output="rows", axis=0),
        _node("MatMul", "x", "w", output="m"),
        _node("Add", "m", "rows", output="a"),
        _node("LayerNormalization", "a", "scale", output="n"),
        _node("Reshape", "n", "heads", output="h"),
        _node("Transpose", "h", output="t", perm=[0, 2, 1]),
        _node("Softmax", "t", output="s", axis=-1),
        _node("Slice", "s", "start1", "limit1", output="l"),
        _node("Concat", "l", "l", output="k", axis=0),
        _node("Tile", "k", "repeats", output="y"),
    ]
    constants = [
        _stored("shape", [1, 4], np.int64),
        _stored("wide", [3, 4], np.int64),
        *(_stored(name, value, np.int64) for name, value in (("start", 0), ("limit", 3), ("delta", 1))),
        _stored("w", np.ones((5, 4))),
        _stored("scale", np.ones(4)),
        _stored("heads", [3, 2, 2], np.int64),
        *(_stored(name, value, np.int64) for name, value in (("start1", [0]), ("limit1", [2]))),
        _stored("repeats", [1, 2, 1], np.int64),
    ]
    return _model(nodes, constants, (3, 5), "y")


def _hosted() -> bytes:
    """An operation that the core does not have, and one that a file may have computed."""
    nodes = [
        _node("OneHot", "places", "depth", "values", output="hot"),
        _node("Einsum", "hot", "hot", output="e", equation="ij,kj->ik"),
        _node("Mul", "x", "e", output="m"),
        _node("CumSum", "m", "axis", output="y"),
    ]
    constants = [
        _stored("places", [0, 1], np.int64),
        _stored("depth", 2, np.int64),
        _stored("values", [0, 1]),
        _stored("axis", 0, np.int64),
    ]
    return _model(nodes, constants, (2, 2), "y")


def _apart(data: bytes) -> Tree:
    try:
        return json_format.MessageToDict(onnx.ModelProto.FromString(data), preserving_proto_field_name=True)
    except (DecodeError, ValueError, RecursionError, json_format.Error) as error:
        raise UnwritableError(str(error)) from error


def _together(tree: Tree) -> bytes:
    try:
        model = json_format.ParseDict(tree, onnx.ModelProto(), ignore_unknown_fields=True)
        return bytes(model.SerializeToString(deterministic=True))
    except Exception as error:  # trees have what no message has
        raise UnwritableError(str(error)) from error


TARGET = Target(
    name="onnx",
    seeds=lambda: [_image(), _tokens(), _hosted()],
    errors=(GraphError,),
    read=lambda data: graph_of_onnx(as_file(data, "model.onnx")),
    write=None,
    apart=_apart,
    together=_together,
    spare_bytes=4 * SPARE_BYTES,
)
