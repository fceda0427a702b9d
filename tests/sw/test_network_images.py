"""Convolutional networks in integers: near the float model, and the program leaves what the golden model says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from convolutional_networks import LARGE, SMALL, compiled, mobile, require_near, samples_of, seeded
from test_network_lowering import INT8, SSVQ, run_program
from torch import Tensor, nn
from torch.nn import functional

from ssvq.models.efficientnet import EfficientNetLite0
from ssvq.models.resnet import BasicBlock, Bottleneck, ResNet
from ssvq.network.integer.integer_network import ImageStep, LinearStep, VectorStep
from ssvq.quantize.formats import QuantizeConfig
from ssvq_gen.config import PRESETS, CoreConfig


class Mixed(nn.Module):
    """Branches, pools, functions, and norms that no layer takes in."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(16, 16, 3, padding=1)
        self.branches = nn.ModuleList([nn.Conv2d(16, 8, 1), nn.Conv2d(16, 16, (1, 3), padding=(0, 1))])
        self.norm = nn.BatchNorm2d(40)
        self.gain = nn.Parameter(torch.randn(40, 1, 1))
        self.last = nn.Conv2d(40, 8, 3, stride=2, dilation=2, padding=2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 16, H, W) to an image and an average."""
        x = functional.hardswish(self.first(x))
        parts = [torch.relu(branch(x)) for branch in self.branches]
        y = torch.cat([*parts, functional.max_pool2d(x, 3, 1, 1)], dim=1)
        y = functional.avg_pool2d(torch.relu(self.norm(y)), 2) * self.gain
        return torch.sigmoid(self.last(y)) - 0.25, y.mean((2, 3))


def decoder() -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(16, 16, 4, 2, 1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 2, 2),
        nn.ReLU6(),
        nn.Conv2d(8, 1, 1),
    )


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "basic": (lambda: ResNet(BasicBlock, (1, 1), width=8, classes=10), (1, 3, 32, 32)),
    "bottleneck": (lambda: ResNet(Bottleneck, (1, 1), width=8, classes=10, small_images=True), (1, 3, 9, 9)),
    "mobile": (mobile, (1, 3, 17, 14)),
    "decoder": (decoder, (1, 16, 3, 5)),
    "mixed": (Mixed, (1, 16, 10, 7)),
}


@pytest.mark.parametrize("config", [LARGE, SMALL], ids=lambda config: config.name)
@pytest.mark.parametrize("weights", [INT8, SSVQ], ids=["int8", "ssvq"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str, weights: QuantizeConfig, config: CoreConfig) -> None:
    make, shape = NETWORKS[name]
    model, samples = seeded(make), samples_of(shape)
    made = compiled(model, samples, config, weights)
    run_program(made, samples[0], config)
    if weights is INT8:
        require_near(made.network, model, samples[0])


@pytest.mark.slow
def test_efficientnet_at_a_small_size() -> None:
    config = PRESETS["base"].replace(name="large_base", activation_bytes=4 << 20)
    model, samples = seeded(EfficientNetLite0), samples_of((1, 3, 64, 64))
    made = compiled(model, samples, config)
    run_program(made, samples[0], config)
    require_near(made.network, model, samples[0])
    # 16 depthwise convolutions and a pool; the rest are matrices, and clamps are no steps
    kinds = [sum(isinstance(step, kind) for step in made.network.steps) for kind in (ImageStep, LinearStep, VectorStep)]
    assert kinds == [17, 34, 9]


class Convolution(nn.Module):
    """A convolution with any padding, after one that leaves a zero point other than 0."""

    def __init__(self, channels: tuple[int, int], padding: tuple[int, int, int, int], **settings: object) -> None:
        super().__init__()
        self.padding = padding
        self.before = nn.Conv2d(channels[0], channels[0], 1)
        self.conv = nn.Conv2d(*channels, **settings)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(1, C, H, W) to the convolution's result."""
        left, right, top, bottom = self.padding
        x = functional.silu(self.before(x))
        result: Tensor = self.conv(functional.pad(x, (left, right, top, bottom)))
        return result


@pytest.mark.parametrize("seed", range(12))
def test_random_convolutions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kind = ("whole", "depthwise", "groups")[seed % 3]
    inputs, outputs = (int(n) for n in rng.integers(3, 20, 2))
    groups = {"whole": 1, "depthwise": inputs, "groups": 2}[kind]
    channels = {"whole": (inputs, outputs), "depthwise": (inputs, inputs), "groups": (16, 32)}[kind]
    kernel = tuple(int(n) for n in rng.integers(1, 6, 2))
    left, right, top, bottom = (int(n) for n in rng.integers(0, 3, 4))
    settings = {
        "kernel_size": kernel,
        "stride": tuple(int(n) for n in rng.integers(1, 4, 2)),
        "dilation": tuple(int(n) for n in rng.integers(1, 3, 2)),
        "groups": groups,
    }
    model = seeded(lambda: Convolution(channels, (left, right, top, bottom), **settings), seed)
    samples = samples_of((1, channels[0], 11, 9))
    made = compiled(model, samples, SMALL)
    run_program(made, samples[1], SMALL)
    require_near(made.network, model, samples[1])


TRANSPOSED = [
    {"kernel_size": 4, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1},
    {"kernel_size": 2, "stride": 2},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": (5, 3), "stride": (1, 3)},
    {"kernel_size": (3, 5), "stride": (2, 1), "padding": (0, 2)},
    {"kernel_size": 6, "stride": 3, "padding": (2, 0), "output_padding": (1, 0)},
]


@pytest.mark.parametrize("settings", TRANSPOSED, ids=str)
def test_transposed_convolutions(settings: dict[str, int]) -> None:
    model = seeded(lambda: nn.Sequential(nn.ConvTranspose2d(8, 12, **settings), nn.ReLU()))  # type: ignore[arg-type]
    samples = samples_of((1, 8, 4, 3))
    made = compiled(model, samples, SMALL)
    run_program(made, samples[1], SMALL)
    require_near(made.network, model, samples[1])
