"""Small ONNX models, and checks of the graphs that they give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ssvq.network import Graph, execute

onnx = pytest.importorskip("onnx", reason="onnx, of the extra `models`, is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402  after the skip
from onnx.reference import ReferenceEvaluator  # noqa: E402

from ssvq.network.front.from_onnx import graph_of_onnx  # noqa: E402

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
