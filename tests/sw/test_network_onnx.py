"""Graphs of ONNX files: every operation against ONNX's reference evaluator, names, hosts and errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from graphs import kinds, layer_modules, require_same
from torch import Tensor, nn

from ssvq.models.minilm import Layer
from ssvq.models.resnet import BasicBlock, ResNet
from ssvq.models.vision_transformer import VisionTransformer
from ssvq.network import Graph, GraphError, execute, graph_of
from ssvq.network import operators as ops

onnx = pytest.importorskip("onnx", reason="onnx, of the extra `models`, is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402  after the skip
from onnx.reference import ReferenceEvaluator  # noqa: E402

from ssvq.network.from_onnx import graph_of_onnx  # noqa: E402

Node = Any
IMAGE, TOKENS, ROW = (2, 4, 6, 5), (2, 5, 6), (3, 6)


def constant(name: str, *shape: int) -> Any:
    """A positive float32 initializer that its name decides."""
    generator = np.random.default_rng(sum(name.encode()))
    return numpy_helper.from_array(generator.uniform(0.2, 0.9, shape).astype(np.float32), name)


def numbers(name: str, *values: int) -> Any:
    return numpy_helper.from_array(np.array(values, dtype=np.int64), name)


def scalar(name: str, value: float, dtype: type = np.float32) -> Any:
    return numpy_helper.from_array(np.array(value, dtype=dtype), name)


def model_of(
    nodes: Sequence[Node],
    constants: Sequence[Any] = (),
    shape: Sequence[int | str] = ROW,
    *,
    opset: int = 17,
    element: int = TensorProto.FLOAT,
    outputs: Sequence[str] = ("y",),
) -> Any:
    """A model from x to y."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("x", element, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, []) for name in outputs],  # nothing reads their shapes
        list(constants),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def saved(model: Any, folder: Path) -> Path:
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def checked(model: Any, folder: Path, *, strict: bool = True) -> Graph:
    """The graph, having checked its first output against the reference evaluator's."""
    graph = graph_of_onnx(saved(model, folder), strict=strict)
    (wanted,) = graph.inputs.values()
    x = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(5)).to(wanted.dtype)
    expected = ReferenceEvaluator(model).run(None, {"x": x.numpy()})[0]
    torch.testing.assert_close(execute(graph, x)[0], torch.tensor(expected), atol=1e-5, rtol=1e-4)
    return graph


def node(kind: str, *inputs: str, name: str = "", output: str = "y", **attributes: Any) -> Node:
    return helper.make_node(kind, inputs, [output], name=name, **attributes)


def unary(kind: str, **attributes: Any) -> list[Node]:
    return [node(kind, "x", **attributes)]


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


HOSTS: dict[str, tuple[list[Node], list[Any], tuple[int, ...], str, str]] = {
    "TopK": (
        [helper.make_node("TopK", ["x", "k"], ["y", "places"])],
        [numbers("k", 2)],
        ROW,
        "onnx.TopK",
        "it is not in the operator set",
    ),
    "Resize": (
        [node("Resize", "x", "", "", "sizes", mode="linear")],
        [numbers("sizes", 2, 4, 9, 10)],
        IMAGE,
        "onnx.Resize",
        "it is not in the operator set",
    ),
    "Resize with corners": (
        [node("Resize", "x", "", "", "sizes", mode="linear", coordinate_transformation_mode="align_corners")],
        [numbers("sizes", 2, 4, 9, 10)],
        IMAGE,
        "onnx.Resize",
        "it is not in the operator set",
    ),
    "Resize that PyTorch has not": (
        [node("Resize", "x", "", "", "sizes", mode="linear", coordinate_transformation_mode="asymmetric")],
        [numbers("sizes", 2, 4, 9, 10)],
        IMAGE,
        "onnx.Resize",
        "it is not in the operator set",
    ),
    "Resize cubic": (
        [node("Resize", "x", "", "scales", mode="cubic")],
        [numpy_helper.from_array(np.array([1, 1, 1.5, 2], dtype=np.float32), "scales")],
        IMAGE,
        "onnx.Resize",
        "it is not in the operator set",
    ),
    "Cast": (
        [node("Cast", "x", output="i", to=TensorProto.INT64), node("Cast", "i", to=TensorProto.FLOAT)],
        [],
        ROW,
        "onnx.Cast",
        "it converts float32 to int64",
    ),
    "CumSum": (
        [node("CumSum", "x", "axis")],
        [scalar("axis", 1, np.int64)],
        ROW,
        "onnx.CumSum",
        "it is not in the operator set",
    ),
    "bounds that are values": (
        [node("ReduceMax", "x", output="h", keepdims=0), node("Clip", "x", "h")],
        [],
        ROW,
        "onnx.ReduceMax",
        r"a maximum must be over the last two axes of four, not over \(\) of \(3, 6\)",
    ),
}


@pytest.mark.parametrize("name", HOSTS)
def test_hosts(name: str, tmp_path: Path) -> None:
    nodes, constants, shape, operation, reason = HOSTS[name]
    model = model_of(nodes, constants, shape)
    graph = checked(model, tmp_path, strict=False)
    first = graph.nodes[0].operator
    assert isinstance(first, ops.Host)
    assert first.operation == operation
    assert all(not node.operands[1:] for node in graph.nodes if name != "bounds that are values")
    with pytest.raises(GraphError, match=f"{operation} must be in the operator set: {reason}"):
        graph_of_onnx(saved(model, tmp_path), strict=True)


def test_what_is_random_is_no_constant(tmp_path: Path) -> None:
    model = model_of([node("RandomNormal", output="r", shape=[6]), node("Add", "x", "r")])
    graph = graph_of_onnx(saved(model, tmp_path))
    assert kinds(graph) == ["Host", "Add"]
    x = torch.zeros(ROW)
    assert not torch.equal(execute(graph, x)[0], execute(graph, x)[0])


def test_names(tmp_path: Path) -> None:
    """Layers are called by their weight, or by the node's path where the exporter has renamed the weight."""
    nodes = [
        node("MatMul", "x", "onnx::MatMul_7", name="/encoder/layer.0/fc1/MatMul", output="a"),
        node("Add", "encoder.layer.0.fc1.bias", "a", name="/encoder/layer.0/fc1/Add", output="b"),
        node("Relu", "b", name="/encoder/layer.0/act/Relu", output="c"),
        node("MatMul", "c", "onnx::MatMul_8", name="/blocks/blocks.0/fc2/MatMul", output="d"),
        node(
            "Add", "d", "encoder.layer.0.fc1.bias", name="/blocks/blocks.0/fc2/Add", output="d2"
        ),  # equal, so the same
        node("Gemm", "d2", "head.fc.weight", name="Gemm_13", transB=1, output="e"),
        node("Softmax", "e", name="last"),
    ]
    constants = [
        *(constant("onnx::MatMul_7", 6, 4), constant("encoder.layer.0.fc1.bias", 4), constant("onnx::MatMul_8", 4, 4)),
        *(constant("blocks.0.fc2.other", 1), constant("head.fc.weight", 3, 4)),
    ]
    graph = checked(model_of(nodes, constants), tmp_path)
    found = [(one.name, one.module) for one in graph.nodes]
    assert found[:2] == [("encoder.layer.0.fc1", "encoder.layer.0.fc1"), ("encoder.layer.0.act", None)]
    assert found[2:] == [("blocks.0.fc2", "blocks.0.fc2"), ("head.fc", "head.fc"), ("last", None)]
    assert graph.by_name["head.fc"].operands == ("blocks.0.fc2", "head.fc.weight")
    assert graph.constants["encoder.layer.0.fc1.weight"].shape == (4, 6)
    assert graph.outputs == {"y": "last"}


def test_names_of_modules_that_are_not_called(tmp_path: Path) -> None:
    """Their containers are in the bias's name alone, where the bias is not one that many layers share."""
    nodes = [
        node("MatMul", "x", "onnx::MatMul_1", name="/layer.0/dense_1/MatMul", output="a"),
        node("Add", "a", "encoder.layer.0.output.dense.bias", name="/layer.0/dense_1/Add", output="b"),
        node("MatMul", "b", "onnx::MatMul_2", name="/layer.1/dense_1/MatMul", output="c"),
        node("Add", "c", "encoder.layer.0.output.dense.bias", name="/layer.1/dense_1/Add"),
    ]
    constants = [
        *(constant(f"onnx::MatMul_{number}", 6, 6) for number in (1, 2)),
        constant("encoder.layer.0.output.dense.bias", 6),
    ]
    graph = checked(model_of(nodes, constants), tmp_path)
    assert [one.module for one in graph.nodes] == ["encoder.layer.0.output.dense", "layer.1.dense_1"]


def test_names_in_properties(tmp_path: Path) -> None:
    """PyTorch's newer exporter has modules in a property of its nodes."""
    nodes = [node("MatMul", "x", "val_1", name="node_matmul", output="a"), node("Softmax", "a", name="node_softmax")]
    for one, scopes in zip(nodes, (["", "attn", "attn.proj", "linear"], ["", "attn", "softmax"]), strict=True):
        one.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=repr(scopes))
    graph = checked(model_of(nodes, [constant("val_1", 6, 3)]), tmp_path)
    assert [(one.name, one.module) for one in graph.nodes] == [("attn.proj", "attn.proj"), ("attn.softmax", None)]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            model_of(unary("Relu"), opset=12),
            "model.onnx: the opset must be at least 13, not 12; onnx.version_converter",
        ),
        (
            model_of(unary("Relu"), shape=("batch", 6)),
            "x: input_shapes must have its shape, as the file leaves batch open",
        ),
        (model_of(unary("Relu"), element=TensorProto.FLOAT16), "x: dtype must be one of .*, not float16"),
        (model_of(unary("Relu"), element=TensorProto.STRING), "x: dtype must be one of PyTorch's, not STRING"),
        (
            model_of([node("Add", "x", "c")], [numpy_helper.from_array(np.array(["a"], dtype=object), "c")]),
            "c: dtype must be one of PyTorch's, not STRING",
        ),
        (
            model_of(unary("NonZero", name="find")),
            "find: shapes must be fixed, but that of NonZero changes at run time",
        ),
        (model_of(unary("Cast", to=TensorProto.DOUBLE)), "y: onnx.Cast: dtype must be one of .*, not float64"),
        (
            model_of([node("CumSum", "x", "axis", name="p")], [numbers("axis", 1, 2)]),
            "p: CumSum must run; onnx says: ValueError: Axis must be a rank-0 tensor",
        ),
        (
            model_of([node("MatMul", "x", "w")], [numpy_helper.from_array(np.full((6, 2), np.inf, np.float32), "w")]),
            "weights must be finite, 12 of 12 are not",
        ),
        (
            model_of([helper.make_node("MaxPool", ["x"], ["z", "y"], kernel_shape=[2, 2])], shape=IMAGE),
            "y: 'y' must not be used, as the operation that gives it has no such result here",
        ),
        (
            model_of(
                [
                    helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
                    helper.make_node("Cast", ["m"], ["b"], to=TensorProto.BOOL),
                    helper.make_node(
                        "If",
                        ["b"],
                        ["y"],
                        name="choice",
                        then_branch=helper.make_graph(
                            [node("Relu", "x", output="t")], "t", [], [helper.make_value_info("t", onnx.TypeProto())]
                        ),
                        else_branch=helper.make_graph(
                            [node("Exp", "x", output="e")], "e", [], [helper.make_value_info("e", onnx.TypeProto())]
                        ),
                    ),
                ]
            ),
            "choice: If must not be in the file, as what runs depends on values",
        ),
    ],
)
def test_refuses(model: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=message):
        graph_of_onnx(saved(model, tmp_path))


def test_refuses_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(GraphError, match="text.onnx: the file must be a valid ONNX model; onnx says: "):
        graph_of_onnx(tmp_path / "text.onnx")
    with pytest.raises(GraphError, match="absent.onnx: the file must be a valid ONNX model; onnx says: .*No such file"):
        graph_of_onnx(tmp_path / "absent.onnx")


def test_shapes_of_inputs(tmp_path: Path) -> None:
    file = saved(model_of(unary("Relu"), shape=("batch", 6)), tmp_path)
    assert graph_of_onnx(file, input_shapes={"x": (4, 6)}).inputs["x"].shape == (4, 6)
    with pytest.raises(GraphError, match=r"x: input_shapes must have a shape like \(any, 6\), not \(4, 7\)"):
        graph_of_onnx(file, input_shapes={"x": (4, 7)})
    with pytest.raises(GraphError, match=r"z: input_shapes must be for inputs of the file \(x\)"):
        graph_of_onnx(file, input_shapes={"x": (4, 6), "z": (1,)})


class BertLayer(nn.Module):
    """MiniLM's layer, whose containers the exporter does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.ModuleList([Layer()])

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        found: Tensor = self.layer[0](x, mask[:, None, None, :])
        return found


def tiny_vit() -> nn.Module:
    return VisionTransformer(
        image_size=8, patch_size=4, in_channels=1, width=12, depth=2, heads=3, mlp_ratio=2, classes=4
    )


@pytest.mark.parametrize(
    ("make", "shapes"),
    [
        (tiny_vit, [(2, 1, 8, 8)]),
        (lambda: ResNet(BasicBlock, (1, 1), width=4, in_channels=1, classes=3), [(2, 1, 16, 16)]),
        (BertLayer, [(2, 5, 384), (2, 5)]),
    ],
)
def test_pytorchs_exporter_comes_to_the_same(
    make: Callable[[], nn.Module], shapes: list[tuple[int, ...]], tmp_path: Path
) -> None:
    """The graph of an exported file has the operators and layers of the module's own graph."""
    torch.manual_seed(1)
    model = make().eval()
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            tensor.data.uniform_(-0.3, 0.3) if tensor.ndim > 1 else tensor.data.uniform_(0.1, 0.9)
    inputs = [torch.randn(shape) for shape in shapes]
    if len(inputs) > 1:
        inputs[1] = inputs[1] > -0.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is deprecated, the other one needs a further package
        torch.onnx.export(model, tuple(inputs), str(tmp_path / "model.onnx"), dynamo=False, opset_version=17)
    graph = graph_of_onnx(tmp_path / "model.onnx", strict=True)
    require_same(graph, model, *inputs, atol=2e-5)
    other = graph_of(model, tuple(inputs), strict=True)
    assert sorted(kinds(graph)) == sorted(kinds(other))
    assert layer_modules(graph) == layer_modules(other)
