"""Residual networks: torchvision's names and counts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ssvq.models.resnet import BasicBlock, ResNet, fashion_resnet, resnet18, resnet50


def parameter_count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_sizes() -> None:
    assert parameter_count(resnet18()) == 11_689_512  # torchvision's and timm's
    assert parameter_count(resnet50()) == 25_557_032
    assert parameter_count(fashion_resnet()) == 174_970
    assert resnet18(classes=5).fc.out_features == 5


def test_names_are_torchvisions() -> None:
    names = set(resnet18().state_dict())
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = {"conv1.weight", *(f"bn1.{part}" for part in norm), "fc.weight", "fc.bias"}
    for stage in range(1, 5):
        for block in range(2):
            for number in (1, 2):
                place = f"layer{stage}.{block}"
                expected |= {f"{place}.conv{number}.weight", *(f"{place}.bn{number}.{part}" for part in norm)}
        if stage > 1:
            place = f"layer{stage}.0.downsample"
            expected |= {f"{place}.0.weight", *(f"{place}.1.{part}" for part in norm)}
    assert names == expected
    shapes = {name: tuple(tensor.shape) for name, tensor in resnet50().state_dict().items()}
    assert shapes["layer2.0.conv2.weight"] == (128, 128, 3, 3)
    assert shapes["layer4.2.conv3.weight"] == (2048, 512, 1, 1)
    assert shapes["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)


def sizes(model: nn.Module, images: torch.Tensor) -> dict[str, tuple[int, ...]]:
    """The shape of what every module gives."""
    found: dict[str, tuple[int, ...]] = {}

    def keep(name: str, output: torch.Tensor) -> None:
        found[name] = tuple(output.shape[1:])

    handles = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: keep(name, output))
        for name, module in model.named_modules()
    ]
    with torch.no_grad():
        model.eval()(images)
    for handle in handles:
        handle.remove()
    return found


def test_strides() -> None:
    found = sizes(resnet50(classes=7), torch.randn(1, 3, 64, 64))
    assert found["conv1"] == (64, 32, 32)
    assert found["layer1"] == (256, 16, 16)
    assert found["layer2.0.conv1"] == (128, 16, 16)  # the stride is in the 3x3 convolution
    assert found["layer2.0.conv2"] == (128, 8, 8)
    assert found["layer4"] == (2048, 2, 2)
    assert found[""] == (7,)
    small = sizes(fashion_resnet(), torch.randn(1, 1, 28, 28))
    assert small["conv1"] == (16, 28, 28)
    assert small["layer3"] == (64, 7, 7)


def test_a_block_is_a_residual() -> None:
    """Where the last norm gives zeros, the input passes through the last activation only."""
    block = BasicBlock(4, 4, 1).eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(block(x), x.relu())
    # each activation is a module of its own, so that its range can be watched
    assert sum(isinstance(module, nn.ReLU) for module in resnet18().modules()) == 17


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"depths must not be empty"):
        ResNet(BasicBlock, ())
    with pytest.raises(ValueError, match=r"depths\[1\] must be a positive integer, not 0"):
        ResNet(BasicBlock, (2, 0))
    with pytest.raises(ValueError, match=r"classes must be a positive integer, not -1"):
        resnet18(classes=-1)
