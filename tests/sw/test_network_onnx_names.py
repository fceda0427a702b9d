"""Graphs of ONNX files: what layers are called, and that an exported model has the graph of its module."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from graphs import kinds, layer_modules, require_same
from torch import Tensor, nn

from ssvq.models.minilm import Layer
from ssvq.models.resnet import BasicBlock, ResNet
from ssvq.models.vision_transformer import VisionTransformer
from ssvq.network import graph_of

onnx = pytest.importorskip("onnx", reason="onnx, of the extra `models`, is not installed")

from onnx_models import (  # noqa: E402
    checked,
    constant,
    model_of,
    node,
)

from ssvq.network.front.from_onnx import graph_of_onnx  # noqa: E402


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
