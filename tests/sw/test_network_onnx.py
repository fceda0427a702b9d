"""Graphs of ONNX files: every operation against ONNX's reference evaluator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from graphs import kinds

from ssvq.network import execute
from ssvq.network import operators as ops

onnx = pytest.importorskip("onnx", reason="onnx, of the extra `models`, is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402  after the skip
from onnx_models import (  # noqa: E402
    IMAGE,
    ROW,
    TOKENS,
    Node,
    checked,
    constant,
    model_of,
    node,
    numbers,
    saved,
    scalar,
    unary,
)

from ssvq.network.front.from_onnx import graph_of_onnx  # noqa: E402

Case = tuple[list[Node], list[Any], tuple[int, ...], list[str]]

OPERATIONS: dict[str, Case] = {
    "Relu": (unary("Relu"), [], ROW, ["Clamp"]),
    "Clip": ([node("Clip", "x", "", "high")], [scalar("high", 0.3)], ROW, ["Clamp"]),
    "Sigmoid": (unary("Sigmoid"), [], ROW, ["Elementwise"]),
    "HardSwish": (unary("HardSwish"), [], ROW, ["Elementwise"]),
    "HardSigmoid": (unary("HardSigmoid", alpha=0.3, beta=0.4), [], ROW, ["Multiply", "Add", "Clamp"]),
    "HardSigmoid as PyTorch's": (unary("HardSigmoid", alpha=1 / 6), [], ROW, ["Elementwise"]),
    "LeakyRelu": (unary("LeakyRelu", alpha=0.3), [], ROW, ["Elementwise"]),
    "Elu": (unary("Elu", alpha=0.7), [], ROW, ["Elementwise"]),
    "Neg": (unary("Neg"), [], ROW, ["Multiply"]),
    "Pow": ([node("Pow", "x", "p")], [scalar("p", 3.0)], ROW, ["Elementwise"]),
    "Sum": ([node("Sum", "x", "c", "x")], [constant("c", 6)], ROW, ["Add", "Add"]),
    "Sub": ([node("Sub", "c", "x")], [constant("c", 6)], ROW, ["Multiply", "Add"]),
    "Div": ([node("Div", "x", "c")], [constant("c", 6)], ROW, ["Multiply"]),
    "Div by a value": (
        [node("Exp", "x", output="e"), node("Div", "x", "e")],
        [],
        ROW,
        ["Elementwise"] * 2 + ["Multiply"],
    ),
    "Softmax": (unary("Softmax", axis=1), [], TOKENS, ["Softmax"]),
    "LogSoftmax": (unary("LogSoftmax"), [], TOKENS, ["Softmax", "Elementwise"]),
    "ReduceMean": (unary("ReduceMean", axes=[1], keepdims=0), [], TOKENS, ["Mean", "Reshape"]),
    "ReduceMean of images": (unary("ReduceMean", axes=[2, 3]), [], IMAGE, ["AveragePool"]),
    "ReduceSum": ([node("ReduceSum", "x", "axes")], [numbers("axes", -1)], TOKENS, ["Mean", "Multiply"]),
    "ReduceMax": (unary("ReduceMax", axes=[2, 3], keepdims=0), [], IMAGE, ["MaxPool", "Reshape"]),
    "MatMul": ([node("MatMul", "x", "w")], [constant("w", 6, 3)], TOKENS, ["Linear"]),
    "MatMul, Add": (
        [node("MatMul", "x", "w", output="p"), node("Add", "c", "p")],
        [constant("w", 6, 3), constant("c", 3)],
        TOKENS,
        ["Linear"],
    ),
    "MatMul of values": (
        [node("Transpose", "x", output="t", perm=[0, 2, 1]), node("MatMul", "x", "t")],
        [],
        TOKENS,
        ["Transpose", "MatMul"],
    ),
    "Gemm": ([node("Gemm", "x", "w", "c", transB=1)], [constant("w", 2, 6), constant("c", 2)], ROW, ["Linear"]),
    "Gemm with factors": (
        [node("Gemm", "x", "w", "c", alpha=2.0, beta=3.0, transA=1)],
        [constant("w", 3, 2), constant("c", 6, 2)],
        ROW,
        ["Transpose", "Linear", "Multiply", "Add"],
    ),
    "Conv": (
        [node("Conv", "x", "w", "c", pads=[1, 0, 2, 1], strides=[2, 1], dilations=[1, 2], group=2)],
        [constant("w", 6, 2, 3, 2), constant("c", 6)],
        IMAGE,
        ["Conv2d"],
    ),
    "Conv with SAME_UPPER": (
        [node("Conv", "x", "w", auto_pad="SAME_UPPER", strides=[2, 2])],
        [constant("w", 3, 4, 3, 4)],
        IMAGE,
        ["Conv2d"],
    ),
    "Conv with SAME_LOWER": (
        [node("Conv", "x", "w", auto_pad="SAME_LOWER")],
        [constant("w", 3, 4, 2, 4)],
        IMAGE,
        ["Conv2d"],
    ),
    "Conv of rows": (
        [node("Conv", "x", "w", pads=[1, 2], strides=[2])],
        [constant("w", 3, 5, 3)],
        TOKENS,
        ["Reshape", "Conv2d", "Reshape"],
    ),
    "ConvTranspose": (
        [node("ConvTranspose", "x", "w", "c", pads=[1, 0, 2, 1], strides=[2, 3], output_padding=[1, 0])],
        [constant("w", 4, 3, 3, 2), constant("c", 3)],
        IMAGE,
        ["ConvTranspose2d"],
    ),
    "Conv, BatchNormalization": (
        [
            node("Conv", "x", "w", output="h"),
            node("BatchNormalization", "h", "scale", "shift", "mean", "variance", epsilon=0.1),
        ],
        [constant("w", 3, 4, 1, 1), *(constant(name, 3) for name in ("scale", "shift", "mean", "variance"))],
        IMAGE,
        ["Conv2d"],
    ),
    "Pad, Conv": (
        [node("Pad", "x", "pads", output="h"), node("Conv", "h", "w")],
        [numbers("pads", 0, 0, 1, 0, 0, 0, 0, 2), constant("w", 3, 4, 3, 3)],
        IMAGE,
        ["Conv2d"],
    ),
    "Pad": (
        [node("Pad", "x", "pads", "value")],
        [numbers("pads", 0, 1, 2, 0), scalar("value", 3.0)],
        ROW,
        ["Pad"],
    ),
    "LayerNormalization": (
        [node("LayerNormalization", "x", "w", "c", epsilon=0.1)],
        [constant("w", 6), constant("c", 6)],
        TOKENS,
        ["LayerNorm"],
    ),
    "InstanceNormalization": (
        [node("InstanceNormalization", "x", "w", "c")],
        [constant("w", 4), constant("c", 4)],
        IMAGE,
        ["Reshape", "LayerNorm", "Reshape", "ScaleShift"],
    ),
    "AveragePool": (
        unary("AveragePool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1]),
        [],
        IMAGE,
        ["AveragePool"],
    ),
    "AveragePool that counts": (
        unary("AveragePool", kernel_shape=[3, 2], pads=[1, 0, 1, 1], count_include_pad=1),
        [],
        IMAGE,
        ["AveragePool"],
    ),
    "MaxPool": (unary("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 1]), [], IMAGE, ["MaxPool"]),
    "GlobalAveragePool": (unary("GlobalAveragePool"), [], IMAGE, ["AveragePool"]),
    "GlobalMaxPool": (unary("GlobalMaxPool"), [], IMAGE, ["MaxPool"]),
    "Reshape": ([node("Reshape", "x", "s")], [numbers("s", 0, 2, -1)], TOKENS, ["Reshape"]),
    "Flatten": (unary("Flatten", axis=2), [], IMAGE, ["Reshape"]),
    "Transpose": (unary("Transpose"), [], TOKENS, ["Transpose"]),
    "Unsqueeze, Squeeze": (
        [node("Unsqueeze", "x", "a", output="h"), node("Squeeze", "h", "b")],
        [numbers("a", 0, -1), numbers("b", 0)],
        ROW,
        ["Reshape"],
    ),
    "Slice": (
        [node("Slice", "x", "starts", "ends", "axes", "steps")],
        [numbers("starts", 1, -5), numbers("ends", 9, 6), numbers("axes", 1, 2), numbers("steps", 1, 2)],
        TOKENS,
        ["Slice", "Slice"],
    ),
    "Split": (
        [helper.make_node("Split", ["x", "sizes"], ["a", "b"], axis=1), node("Concat", "b", "a", axis=1)],
        [numbers("sizes", 2, 3)],
        TOKENS,
        ["Slice", "Slice", "Concat"],
    ),
    "Gather": ([node("Gather", "x", "i", axis=1)], [numbers("i", 3)], TOKENS, ["Slice"]),
    "Expand": ([node("Expand", "x", "s")], [numbers("s", 4, 1, 6)], ROW, ["Expand"]),
    "Tile": ([node("Tile", "x", "r")], [numbers("r", 2, 3)], ROW, ["Reshape", "Expand", "Reshape"]),
    "DepthToSpace": (unary("DepthToSpace", blocksize=2), [], IMAGE, ["Reshape", "Transpose", "Reshape"]),
    "DepthToSpace as PyTorch's": (
        unary("DepthToSpace", blocksize=2, mode="CRD"),
        [],
        IMAGE,
        ["Reshape", "Transpose", "Reshape"],
    ),
    "Resize by copies": (
        [node("Resize", "x", "", "scales", mode="nearest")],
        [numpy_helper.from_array(np.array([1, 1, 2, 3], dtype=np.float32), "scales")],
        IMAGE,
        ["Reshape", "Expand", "Reshape"],
    ),
    "Dropout, Identity, Cast": (
        [
            node("Dropout", "x", output="a"),
            node("Identity", "a", output="b"),
            node("Cast", "b", output="c", to=TensorProto.FLOAT),
            node("Relu", "c"),
        ],
        [],
        ROW,
        ["Clamp"],
    ),
    "shapes are constants": (
        [
            node("Shape", "x", output="shape"),
            node("Gather", "shape", "last", output="width"),
            node("Concat", "minus", "width", output="wanted", axis=0),
            node("Reshape", "x", "wanted"),
        ],
        [numbers("last", 2), numbers("minus", -1)],
        TOKENS,
        ["Reshape"],
    ),
    "masked softmax": (
        [
            node("Greater", "c", "half", output="keep"),
            node("Where", "keep", "x", "low", output="h"),
            node("Softmax", "h"),
        ],
        [constant("c", 6), scalar("half", 0.5), scalar("low", -np.inf)],
        ROW,
        ["Softmax"],
    ),
    "Gelu by Erf": (
        [
            node("Div", "x", "root", output="a"),
            node("Erf", "a", output="e"),
            node("Add", "e", "one", output="f"),
            node("Mul", "x", "f", output="g"),
            node("Mul", "g", "half"),
        ],
        [scalar("root", 2**0.5), scalar("one", 1), scalar("half", 0.5)],
        ROW,
        ["Elementwise"],
    ),
    "Gelu by Tanh": (
        [
            node("Mul", "x", "x", output="a"),
            node("Mul", "a", "x", output="b"),
            node("Mul", "b", "c1", output="c"),
            node("Add", "x", "c", output="d"),
            node("Mul", "d", "c2", output="e"),
            node("Tanh", "e", output="f"),
            node("Add", "f", "one", output="g"),
            node("Mul", "half", "x", output="h"),
            node("Mul", "h", "g"),
        ],
        [scalar("c1", 0.044715), scalar("c2", (2 / np.pi) ** 0.5), scalar("one", 1), scalar("half", 0.5)],
        ROW,
        ["Elementwise"],
    ),
    "LayerNormalization by ReduceMean": (
        [
            node("ReduceMean", "x", output="m", axes=[-1]),
            node("Sub", "x", "m", output="d"),
            node("Pow", "d", "two", output="s"),
            node("ReduceMean", "s", output="v", axes=[-1]),
            node("Add", "v", "eps", output="w"),
            node("Sqrt", "w", output="r"),
            node("Div", "d", "r", output="n"),
            node("Mul", "n", "gain", output="g"),
            node("Add", "g", "bias"),
        ],
        [scalar("two", 2), scalar("eps", 1e-3), constant("gain", 6), constant("bias", 6)],
        TOKENS,
        ["LayerNorm"],
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name: str, tmp_path: Path) -> None:
    nodes, constants, shape, expected = OPERATIONS[name]
    assert kinds(checked(model_of(nodes, constants, shape), tmp_path)) == expected


def test_later_versions(tmp_path: Path) -> None:
    """Axes as an input, Gelu as an operation, parts by their number."""
    mean = model_of([node("ReduceMean", "x", "axes")], [numbers("axes", 1)], TOKENS, opset=18)
    assert kinds(checked(mean, tmp_path)) == ["Mean"]
    gelu = model_of(unary("Gelu", approximate="tanh"), opset=20)
    (found,) = checked(gelu, tmp_path).nodes
    assert found.operator == ops.Elementwise(function=ops.Function.GELU_TANH)
    parts = helper.make_node("Split", ["x"], ["y", "z"], axis=1, num_outputs=2)
    assert kinds(checked(model_of([parts], [], TOKENS, opset=18, outputs=("y", "z")), tmp_path)) == ["Slice", "Slice"]


def test_embedding(tmp_path: Path) -> None:
    model = model_of([node("Gather", "words", "x")], [constant("words", 7, 4)], (2, 3), element=TensorProto.INT64)
    graph = graph_of_onnx(saved(model, tmp_path))
    assert kinds(graph) == ["Embedding"]
    ids = torch.tensor([[0, 6, 2], [1, 1, 5]])
    assert torch.equal(execute(graph, ids)[0], graph.constants["words"][ids])
