"""What an ONNX file asks for without having it: memory, and operations with operands that ONNX does not have."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ssvq.network import GraphError, execute

onnx = pytest.importorskip("onnx", reason="onnx, of the extra `models`, is not installed")

from onnx import helper, numpy_helper  # noqa: E402  after the skip
from onnx_models import IMAGE, ROW, Node, model_of, node, numbers, saved, scalar  # noqa: E402

from ssvq.network.front import from_onnx  # noqa: E402
from ssvq.network.front.allowance import Allowance  # noqa: E402
from ssvq.network.front.from_onnx import graph_of_onnx  # noqa: E402

LARGE = 3 << 31
"""Elements of 24 GiB of float32."""


def column(name: str, count: int) -> Any:
    return numpy_helper.from_array(np.ones((count, 1), np.float32), name)


COMPUTED: dict[str, tuple[list[Node], list[Any]]] = {
    "ConstantOfShape": ([node("ConstantOfShape", "n", output="k")], [numbers("n", LARGE)]),
    "Expand": ([node("Expand", "one", "n", output="k")], [scalar("one", 1.0), numbers("n", LARGE)]),
    "Tile": ([node("Tile", "row", "n", output="k")], [numbers("row", 1, 2), numbers("n", LARGE)]),
    "Range": (
        [node("Range", "a", "b", "c", output="k")],
        [scalar(name, value, np.int64) for name, value in (("a", 0), ("b", LARGE), ("c", 1))],
    ),
    "OneHot": (
        [node("OneHot", "row", "n", "pair", output="k")],
        [numbers("row", 0, 1), scalar("n", LARGE, np.int64), numbers("pair", 0, 1)],
    ),
    "Pad": ([node("Pad", "row", "n", output="k")], [numbers("row", 0, 1), numbers("n", 0, LARGE)]),
    "Resize": (
        [node("Resize", "image", "", "", "n", output="k", mode="linear")],
        [numpy_helper.from_array(np.ones((1, 1, 2, 2), np.float32), "image"), numbers("n", 1, 1, 1 << 20, 1 << 13)],
    ),
    "MatMul": (
        [node("Transpose", "w", output="t"), node("MatMul", "w", "t", output="k")],
        [column("w", 1 << 14)],
    ),
    "Einsum": ([node("Einsum", "w", "w", output="k", equation="ij,kj->ik")], [column("w", 1 << 14)]),
}


@pytest.mark.parametrize("operation", COMPUTED)
def test_constants_are_not_larger_than_the_file_allows(operation: str, tmp_path: Path) -> None:
    nodes, constants = COMPUTED[operation]
    path = saved(model_of([*nodes, node("Add", "x", "k")], constants, (1,)), tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(GraphError, match="y|k: what a file computes must be at most .* are left"):
            graph_of_onnx(path)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_many_constants_are_not_larger_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_onnx.Allowance, "of_file", lambda file: Allowance(1000))
    nodes = [node("ConstantOfShape", "n", output=f"k{number}") for number in range(4)]
    sums = [node("Sum", "x", *(f"k{number}" for number in range(4)))]
    path = saved(model_of([*nodes, *sums], [numbers("n", 100)], (1,)), tmp_path)
    with pytest.raises(GraphError, match=r"k2: .* \(100,\) is 400 of the 200 that are left"):
        graph_of_onnx(path)


def test_a_host_does_not_run_on_more_than_the_file_allows(tmp_path: Path) -> None:
    path = saved(model_of([node("CumSum", "x", "axis")], [scalar("axis", 0, np.int64)], (1 << 20, 1 << 13)), tmp_path)
    with pytest.raises(GraphError, match="y: what a file computes must be at most"):
        graph_of_onnx(path)


def test_constants_within_the_allowance_are_computed(tmp_path: Path) -> None:
    nodes = [
        node("ConstantOfShape", "n", output="k"),
        node("Einsum", "w", "w", output="e", equation="ij,kj->ik"),
        node("Add", "k", "e", output="s"),
        node("Add", "x", "s"),
    ]
    graph = graph_of_onnx(saved(model_of(nodes, [numbers("n", 3, 3), column("w", 3)], (3, 3)), tmp_path))
    x = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(execute(graph, x)[0], x + 1)


def test_operands_that_do_not_broadcast_are_not_multiplied_out(tmp_path: Path) -> None:
    constants = [numbers("row", 1, 2), numbers("n", 3, LARGE)]
    path = saved(model_of([node("Expand", "row", "n", output="k"), node("Add", "x", "k")], constants, (1,)), tmp_path)
    with pytest.raises(GraphError, match="Expand: it must be Expand as ONNX has it; InferenceError: "):
        graph_of_onnx(path)


@pytest.mark.parametrize("equation", ["ix\n", "i;j->ij", "i->j->k"])
def test_equations_that_are_none_end(equation: str, tmp_path: Path) -> None:
    path = saved(model_of([node("Einsum", "x", "x", equation=equation)], [], (2, 2)), tmp_path)
    with pytest.raises(GraphError, match="equation must be of letters, commas, dots and an arrow, not"):
        graph_of_onnx(path)


@pytest.mark.parametrize(
    ("nodes", "shape"),
    [
        ([node("DepthToSpace", "x", blocksize=2)], ROW),
        ([node("DepthToSpace", "x", blocksize=0)], IMAGE),
        ([node("MaxPool", "x", kernel_shape=[2, 2], pads=[1])], IMAGE),
        ([node("Concat", "x", "x", axis=9)], ROW),
        ([node("Split", "x", num_outputs=0)], ROW),
        ([node("Transpose", "x", perm=[0, 0])], ROW),
        ([node("Cast", "x", to=99)], ROW),
        ([helper.make_node("Shape", ["x"], [""])], ROW),
    ],
    ids=lambda value: value[0].op_type if isinstance(value, list) else "",
)
def test_operations_that_onnx_does_not_have_are_refused(
    nodes: list[Node], shape: tuple[int, ...], tmp_path: Path
) -> None:
    path = saved(model_of(nodes, [], shape, opset=18), tmp_path)
    with pytest.raises(GraphError, match="must"):
        graph_of_onnx(path)
