"""Ranges of trained layers in place of those of samples."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from ssvq.network import graph_of
from ssvq.network.calibration import ValueRange, calibrate
from ssvq.network.compression import compress_graph
from ssvq.network.graph import Graph
from ssvq.network.integer.stored_ranges import with_stored_ranges
from ssvq.network.integer.value_scales import value_scales
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.quantize.layer import CompressedLayer
from ssvq.reference import ActivationScale

READ, WRITTEN = ActivationScale(scale=0.25, zero_point=3), ActivationScale(scale=0.125, zero_point=-128)


class Net(nn.Module):
    """A layer with a clamp, of whose result parts are joined with another value, and a layer behind a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.norm = nn.Linear(8, 8), nn.Linear(8, 8), nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        """(1, 4, 8) to (1, 8, 8)."""
        y = torch.relu(self.first(x))
        joined: Tensor = self.norm(self.second(torch.cat((y[:, :2], x * x), 1)))
        return joined


@pytest.fixture(scope="module")
def made() -> tuple[Graph, dict[str, ValueRange], dict[str, CompressedLayer]]:
    torch.manual_seed(0)
    sample = (torch.randn(1, 4, 8),)
    graph = graph_of(Net().eval(), sample)
    layers = compress_graph(graph, lambda node: QuantizeConfig(format=WeightFormat.INT8))
    return graph, calibrate(graph, [sample]), layers


def test_layers_without_scales_change_nothing(
    made: tuple[Graph, dict[str, ValueRange], dict[str, CompressedLayer]],
) -> None:
    graph, ranges, layers = made
    assert with_stored_ranges(graph, ranges, layers) == ranges


def test_what_a_layer_reads_and_writes_has_its_scales(
    made: tuple[Graph, dict[str, ValueRange], dict[str, CompressedLayer]],
) -> None:
    graph, ranges, layers = made
    trained = layers | {"first": replace(layers["first"], input_scale=READ, output_scale=WRITTEN, activation="relu")}
    found = with_stored_ranges(graph, ranges, trained)
    scales = value_scales(graph, found)
    assert scales["x"] == READ
    names = {name for name in ranges if found[name] != ranges[name]}
    product = next(node.name for node in graph.nodes if type(node.operator).__name__ == "Multiply")
    assert {"x", product} < names
    assert not {"first", "second", "norm"} & names  # of the first the clamp's result has it
    joined = found[product]  # with a part of what the first writes
    assert (joined.low, joined.high) == (0.0, max(255 * 0.125, ranges[product].high))
    assert all(reach <= 124 * 0.25 for reach in found["x"].reach)
    assert all(reach <= own for reach, own in zip(found["x"].reach, ranges["x"].reach, strict=True))


def test_a_trained_range_may_be_narrower(made: tuple[Graph, dict[str, ValueRange], dict[str, CompressedLayer]]) -> None:
    graph, ranges, layers = made
    narrow, gains = ActivationScale(scale=0.001), ActivationScale(scale=0.001, gains=(1.0, 2.0, *[1.0] * 6))
    trained = layers | {"second": replace(layers["second"], input_scale=narrow, output_scale=gains)}
    found = with_stored_ranges(graph, ranges, trained)
    assert found["second"].high == pytest.approx(0.254)
    assert max(found["second"].reach) <= 0.256
    operand = graph.by_name["second"].operands[0]
    assert found[operand].high > 0.5  # joined of values that no layer writes, whose own ranges it must hold
    assert found[operand].high >= ranges["relu"].high
