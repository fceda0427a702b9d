"""Residual networks with the module names, and so the checkpoints, of torchvision's and timm's.

He et al., "Deep residual learning for image recognition", 2015; the stride of a bottleneck is in its 3x3 convolution,
as in both libraries.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


def _conv(inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """What brings a block's input to the shape of its output; None where it has that shape."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(_conv(inputs, outputs, 1, stride=stride), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a residual: (B, C, H, W) to (B, width, H / stride, W / stride), rounded up."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, width, 3, stride=stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.ReLU()
        self.conv2 = _conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)
        self.act2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, width, H', W')."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.act1(self.bn1(self.conv1(x)))
        output: Tensor = self.act2(self.bn2(self.conv2(x)) + shortcut)
        return output


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1, around a residual: (B, C, H, W) to (B, 4 * width, H / stride, ...)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = _conv(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.ReLU()
        self.conv2 = _conv(width, width, 3, stride=stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.act2 = nn.ReLU()
        self.conv3 = _conv(width, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)
        self.act3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 4 * width, H', W')."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.act2(self.bn2(self.conv2(x)))
        output: Tensor = self.act3(self.bn3(self.conv3(x)) + shortcut)
        return output


class ResNet(nn.Module):
    """Images (B, in_channels, H, W) to logits (B, classes), at any size.

    A new model's weights come from torch's global random generator.

    Args:
        block: kind of block.
        depths: blocks of each stage; every stage but the first halves the image.
        width: channels of the stem; the blocks of stage n have `width * 2**n`.
        in_channels: colours of a pixel.
        classes: number of logits.
        small_images: the stem is a 3x3 convolution that keeps the image's size, rather than one of 7x7 and a pooling
            that together take a quarter of it.

    Raises:
        ValueError: a number is not positive, or there is no stage.
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        depths: Sequence[int],
        *,
        width: int = 64,
        in_channels: int = 3,
        classes: int = 1000,
        small_images: bool = False,
    ) -> None:
        super().__init__()
        if not depths:
            raise ValueError("depths must not be empty")
        numbers = {f"depths[{stage}]": depth for stage, depth in enumerate(depths)}
        for name, value in {**numbers, "width": width, "in_channels": in_channels, "classes": classes}.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive integer, not {value!r}")
        self.conv1 = _conv(in_channels, width, 3) if small_images else _conv(in_channels, width, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.ReLU()
        self.maxpool = nn.Identity() if small_images else nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = [f"layer{stage + 1}" for stage in range(len(depths))]
        channels = width
        for stage, (name, depth) in enumerate(zip(self.stages, depths, strict=True)):
            blocks: list[nn.Module] = []
            for number in range(depth):
                blocks.append(block(channels, width << stage, 2 if stage > 0 and number == 0 else 1))
                channels = (width << stage) * block.expansion
            self.add_module(name, nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, in_channels, H, W) to logits (B, classes)."""
        x = self.maxpool(self.act1(self.bn1(self.conv1(images))))
        for name in self.stages:
            x = self.get_submodule(name)(x)
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def resnet18(*, classes: int = 1000) -> ResNet:
    """ResNet-18, untrained: 11,689,512 parameters with 1000 classes; images (B, 3, 224, 224)."""
    return ResNet(BasicBlock, (2, 2, 2, 2), classes=classes)


def resnet50(*, classes: int = 1000) -> ResNet:
    """ResNet-50, untrained: 25,557,032 parameters with 1000 classes; images (B, 3, 224, 224)."""
    return ResNet(Bottleneck, (3, 4, 6, 3), classes=classes)


def fashion_resnet(*, classes: int = 10) -> ResNet:
    """A small residual network for images (B, 1, 28, 28), untrained: 174,970 parameters with 10 classes."""
    return ResNet(BasicBlock, (2, 2, 2), width=16, in_channels=1, classes=classes, small_images=True)
