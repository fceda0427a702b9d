"""How large the inputs of layers are, and what that changes in their weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ssvq.network import GraphError, graph_of
from ssvq.network.compression import compress_graph
from ssvq.network.integer.input_moments import input_moments
from ssvq.quantize.formats import QuantizeConfig, WeightFormat

SSVQ = QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=4, vector_dim=4)


class Layers(nn.Module):
    """A convolution of an image that has many channels, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.pointwise, self.linear = nn.Conv2d(8, 8, 1), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        """(1, 8, H, W) to (1, H * W, 8)."""
        scores: Tensor = self.linear(self.pointwise(torch.relu(x)).flatten(2).transpose(1, 2))
        return scores


def samples() -> list[tuple[Tensor]]:
    return [(torch.randn(1, 8, 3, 4, generator=torch.Generator().manual_seed(n)),) for n in range(3)]


def test_moments_are_those_of_the_channels_of_all_samples() -> None:
    model = Layers().eval()
    found = input_moments(graph_of(model, samples()[0]), samples())
    x = torch.relu(torch.cat([sample[0] for sample in samples()]))
    torch.testing.assert_close(found["pointwise"], x.square().mean((0, 2, 3)))
    with torch.no_grad():
        torch.testing.assert_close(found["linear"], model.pointwise(x).square().mean((0, 2, 3)))


def test_patches_of_an_input_have_none() -> None:
    graph = graph_of(nn.Conv2d(3, 4, 2, stride=2).eval(), (torch.zeros(1, 3, 4, 4),))
    assert input_moments(graph, [(torch.randn(1, 3, 4, 4),)]) == {}


def test_there_must_be_a_sample() -> None:
    with pytest.raises(GraphError, match="there must be at least one sample"):
        input_moments(graph_of(nn.Linear(8, 8).eval(), (torch.zeros(1, 8),)), [])


def test_errors_are_smaller_where_inputs_are_large() -> None:
    torch.manual_seed(1)
    model = nn.Linear(16, 64).eval()
    graph = graph_of(model, (torch.zeros(1, 3, 16),))
    x = torch.randn(1, 200, 16) * torch.tensor([8.0, *[0.5] * 15])
    ((name, moments),) = input_moments(graph_of(model, (x,)), [(x,)]).items()
    errors = []
    for importance in ({}, {name: moments}):
        (layer,) = compress_graph(graph, lambda node: SSVQ, importance=importance).values()
        errors.append(float((x @ (layer.decode() - model.weight.detach()).T).square().mean()))
    assert errors[1] < 0.8 * errors[0]
