"""Graphs of ONNX files: what stays on the host, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from graphs import kinds

from ssvq.network import GraphError, execute
from ssvq.network import operators as ops

onnx = pytest.importorskip("onnx", reason="onnx, of the extra `models`, is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402  after the skip
from onnx_models import (  # noqa: E402
    IMAGE,
    ROW,
    Node,
    checked,
    model_of,
    node,
    numbers,
    saved,
    scalar,
    unary,
)

from ssvq.network.front.from_onnx import graph_of_onnx  # noqa: E402

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
    assert graph_of_onnx(file, input_shapes={"": (4, 6)}).inputs["x"].shape == (4, 6)


def test_a_shape_without_a_name_is_of_the_only_input(tmp_path: Path) -> None:
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", 6)) for name in ("x", "mask")]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
    graph = helper.make_graph([node("Add", "x", "mask")], "graph", inputs, [output])
    file = saved(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), tmp_path)
    with pytest.raises(GraphError, match=r"must have the name of one of the file's inputs \(x, mask\)"):
        graph_of_onnx(file, input_shapes={"": (4, 6)})
    with pytest.raises(GraphError, match=r"mask: .* leaves batch open; the file's inputs are x, mask"):
        graph_of_onnx(file, input_shapes={"x": (4, 6)})
    assert len(graph_of_onnx(file, input_shapes={"x": (4, 6), "mask": (4, 6)}).inputs) == 2
