"""Vision transformers: timm's names, counts and arithmetic."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ssvq.models.vision_transformer import VisionTransformer, deit_small, deit_tiny, fashion_vit


def parameter_count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_sizes() -> None:
    assert parameter_count(deit_tiny()) == 5_717_416  # timm's deit_tiny_patch16_224
    assert parameter_count(deit_small()) == 22_050_664  # timm's deit_small_patch16_224
    assert parameter_count(fashion_vit()) == 455_050
    assert fashion_vit(classes=3).head.out_features == 3


def test_names_are_timms() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in deit_tiny().state_dict().items()}
    block = {
        "norm1.weight": (192,),
        "norm1.bias": (192,),
        "attn.qkv.weight": (576, 192),
        "attn.qkv.bias": (576,),
        "attn.proj.weight": (192, 192),
        "attn.proj.bias": (192,),
        "norm2.weight": (192,),
        "norm2.bias": (192,),
        "mlp.fc1.weight": (768, 192),
        "mlp.fc1.bias": (768,),
        "mlp.fc2.weight": (192, 768),
        "mlp.fc2.bias": (192,),
    }
    rest = {
        "cls_token": (1, 1, 192),
        "pos_embed": (1, 197, 192),
        "patch_embed.proj.weight": (192, 3, 16, 16),
        "patch_embed.proj.bias": (192,),
        "norm.weight": (192,),
        "norm.bias": (192,),
        "head.weight": (1000, 192),
        "head.bias": (1000,),
    }
    blocks = {f"blocks.{number}.{name}": shape for number in range(12) for name, shape in block.items()}
    assert shapes == {**rest, **blocks}


def reference(model: VisionTransformer, images: Tensor) -> Tensor:
    """The definition, written out: heads one by one, softmax and norms by hand."""
    weights = model.state_dict()
    heads = next(iter(model.blocks.children())).get_submodule("attn").heads
    assert isinstance(heads, int)

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    kernel = weights["patch_embed.proj.weight"]
    size = kernel.shape[2]
    patches = images.unfold(2, size, size).unfold(3, size, size)  # B, C, rows, columns, size, size
    patches = patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    tokens = patches @ kernel.flatten(1).T + weights["patch_embed.proj.bias"]
    x = torch.cat((weights["cls_token"].repeat(len(images), 1, 1), tokens), 1) + weights["pos_embed"]
    width = x.shape[2] // heads
    for number in range(len(model.blocks)):
        block = f"blocks.{number}"
        qkv = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv")
        mixed = []
        for head in range(heads):
            query, key, value = (qkv[:, :, part * x.shape[2] + head * width :][:, :, :width] for part in range(3))
            mixed.append((query @ key.transpose(1, 2) / math.sqrt(width)).softmax(-1) @ value)
        x = x + linear(torch.cat(mixed, 2), f"{block}.attn.proj")
        hidden = linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        x = x + linear(hidden, f"{block}.mlp.fc2")
    return linear(norm(x[:, 0], "norm"), "head")


def test_arithmetic() -> None:
    torch.manual_seed(1)
    model = fashion_vit()
    for parameter in model.parameters():  # norms, biases and the class token start where they would not be seen
        nn.init.normal_(parameter, std=0.3)
    images = torch.randn(3, 1, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(model.double()(images.double()), reference(model, images.double()))


def test_learns() -> None:
    torch.manual_seed(1)
    model = fashion_vit()
    images, labels = torch.randn(8, 1, 28, 28), torch.arange(8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss = functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("depth", 0, "depth must be a positive integer, not 0"),
        ("classes", "10", "classes must be a positive integer, not '10'"),
        ("image_size", 30, "image_size must be a multiple of patch_size 4, not 30"),
        ("width", 97, "width must be a multiple of heads 3, not 97"),
        ("mlp_ratio", -1, "mlp_ratio must be positive, not -1"),
    ],
)
def test_refuses(argument: str, value: object, message: str) -> None:
    arguments: dict[str, object] = {
        **{"image_size": 28, "patch_size": 4, "in_channels": 1, "width": 96},
        **{"depth": 4, "heads": 3, "mlp_ratio": 4, "classes": 10, argument: value},
    }
    with pytest.raises(ValueError, match=f"^{message}$"):
        VisionTransformer(**arguments)
