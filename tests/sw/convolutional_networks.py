"""Small convolutional networks, and how they are compiled and compared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from test_network_lowering import INT8, outputs_of
from torch import Tensor, nn

from ssvq.models.efficientnet import Block, Stage
from ssvq.network import graph_of
from ssvq.network.calibration import calibrate
from ssvq.network.compilation import compile_network
from ssvq.network.compression import compress_graph, default_choice
from ssvq.network.integer.integer_network import IntegerNetwork
from ssvq.network.integer.lowering import lower
from ssvq.network.program.emission import CompiledNetwork
from ssvq.quantize.formats import QuantizeConfig
from ssvq_gen.config import PRESETS, CoreConfig

LARGE = PRESETS["tiny"].replace(name="large", activation_bytes=256 << 10)
SMALL = LARGE.replace(name="small", accumulator_depth=16)
"""Fewer accumulators than pixels: everything is done in parts."""


def samples_of(shape: tuple[int, ...], count: int = 2) -> list[tuple[Tensor]]:
    return [(torch.randn(shape, generator=torch.Generator().manual_seed(n)),) for n in range(count)]


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """A module in evaluation mode, with statistics in its batch norms as after training."""
    torch.manual_seed(seed)
    model = make()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.eval()


def lowered(model: nn.Module, samples: list[tuple[Tensor]], word_bytes: int = 8) -> IntegerNetwork:
    graph = graph_of(model, samples[0])
    layers = compress_graph(graph, default_choice(graph, INT8))
    return lower(graph, calibrate(graph, samples), layers, word_bytes=word_bytes)


def compiled(
    model: nn.Module, samples: list[tuple[Tensor]], config: CoreConfig, weights: QuantizeConfig = INT8
) -> CompiledNetwork:
    graph = graph_of(model, samples[0])
    layers = compress_graph(graph, default_choice(graph, weights))
    return compile_network(graph, calibrate(graph, samples), layers, config)


def require_near(network: IntegerNetwork, model: nn.Module, sample: tuple[Tensor], *, cosine: float = 0.999) -> None:
    for found, expected in zip(outputs_of(network, sample).values(), flat(model(*sample)), strict=True):
        wanted = expected.detach().numpy()
        assert found.shape == wanted.shape
        assert (found * wanted).sum() >= cosine * np.linalg.norm(found) * np.linalg.norm(wanted)


def flat(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else outputs


def mobile() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1),
        nn.ReLU6(),
        Block(16, Stage(1, 3, 1, 1, 16), stride=1),
        Block(16, Stage(1, 5, 2, 2, 24), stride=2),
        Block(24, Stage(1, 3, 1, 2, 24), stride=1),
    )
