"""Networks whose tensors do not fit the memory of `tiny`: the compiler tiles them, with the same integers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ssvq.network import graph_of
from ssvq_gen.config import PRESETS

from ..metrics import COSINE
from ..subject import INT8, Case, Part, Sample, Subject, ssvq

SEED, SIZE = 0, 32
ROOM = PRESETS["tiny"].replace(name="tiny_with_room", activation_bytes=256 << 10)
"""A core that differs from `tiny` in its memory alone."""


class Block(nn.Module):
    """Expand, filter each channel, project, around a residual: (1, C, H, W) to the same shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = 3 * width
        self.expand = nn.Conv2d(width, inner, 1)
        self.depthwise = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.project = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(1, C, H, W) to the same shape."""
        inner = self.depthwise(self.expand(x).clamp(0, 6)).clamp(0, 6)
        summed: Tensor = x + self.project(inner)
        return summed


class SmallNetwork(nn.Module):
    """Convolutions with residuals: images (1, 3, SIZE, SIZE) to (1, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=1, padding=1)
        self.blocks = nn.Sequential(Block(16), nn.Conv2d(16, 24, 3, stride=2, padding=1), Block(24))
        self.head = nn.Linear(24, 10)

    def forward(self, images: Tensor) -> Tensor:
        """(1, 3, SIZE, SIZE) to (1, 10)."""
        logits: Tensor = self.head(self.blocks(self.stem(images).clamp(0, 6)).mean((2, 3)))
        return logits


def subjects(*, quick: bool) -> list[Subject]:
    """One, whose largest tensor is three times the memory."""
    torch.manual_seed(SEED)
    model = SmallNetwork().eval()
    images = [torch.randn(1, 3, SIZE, SIZE) for _ in range(2)]
    part = Part(
        graph=graph_of(model, (images[0],)),
        samples=tuple(Sample(inputs=(image,)) for image in images),
        calibration=tuple((image,) for image in images),
    )
    cases = [
        Case(config=PRESETS["tiny"], weights=weights, rates=(4,), simulated=1 if quick else 2, same_as=ROOM)
        for weights in (INT8, ssvq(16, 8))
    ]
    return [Subject(name="tiled", parts=(part,), metrics=(COSINE,), cases=tuple(cases))]
