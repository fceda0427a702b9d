"""Masks that ONNX files compute of an input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from graphs import kinds

from ssvq.network import execute

onnx = pytest.importorskip("onnx", reason="onnx, of the extra `models`, is not installed")

from onnx import TensorProto  # noqa: E402  after the skip
from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx_models import Node, constant, model_of, node, numbers, saved, scalar  # noqa: E402

from ssvq.network.front.from_onnx import graph_of_onnx  # noqa: E402

FORMS: dict[str, tuple[list[Node], list[str]]] = {
    "added products": (
        [
            node("Cast", "x", output="kept", to=TensorProto.FLOAT),
            node("Sub", "one", "kept", output="left_out"),
            node("Mul", "left_out", "low", output="term"),
            node("Add", "scores", "term", output="masked"),
        ],
        ["Cast", "Softmax"],
    ),
    "chosen by a comparison": (
        [node("Equal", "x", "zero", output="left_out"), node("Where", "left_out", "low", "scores", output="masked")],
        ["Cast", "Softmax"],
    ),
    "chosen by what is left out": (
        [
            node("Cast", "x", output="kept", to=TensorProto.BOOL),
            node("Not", "kept", output="left_out"),
            node("Where", "left_out", "low", "scores", output="masked"),
        ],
        ["Cast", "Softmax"],
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_mask_of_whole_numbers(form: str, tmp_path: Path) -> None:
    nodes, expected = FORMS[form]
    constants = [constant("scores", 3, 6), scalar("one", 1), scalar("low", -3e38), numbers("zero", 0)]
    used = {name for own in nodes for name in own.input}
    model = model_of(
        [*nodes, node("Softmax", "masked")],
        [own for own in constants if own.name in used],
        (3, 6),
        element=TensorProto.INT64,
    )
    graph = graph_of_onnx(saved(model, tmp_path))
    assert kinds(graph) == expected
    kept = (torch.arange(18).reshape(3, 6) % 3 > 0).long()
    found = ReferenceEvaluator(model).run(None, {"x": kept.numpy()})[0]
    np.testing.assert_allclose(execute(graph, kept)[0].numpy(), found, atol=1e-6)
    assert (found[kept.numpy() == 0] == 0).all()
