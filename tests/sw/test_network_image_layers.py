"""First layers on patches, and compressed layers of convolutions from elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from convolutional_networks import SMALL, compiled, lowered, mobile, require_near, samples_of, seeded
from test_network_lowering import INT8, SSVQ, outputs_of, run_program
from torch import Tensor, nn
from torch.nn import functional

from ssvq.network import GraphError, graph_of
from ssvq.network.calibration import calibrate
from ssvq.network.compression import compress_graph, default_choice
from ssvq.network.integer.integer_network import ImageStep, LinearStep
from ssvq.network.integer.lowering import lower
from ssvq.quantize.encode import encode
from ssvq.quantize.formats import QuantizeConfig, WeightFormat


@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "padding", "patches"),
    [(3, 3, 2, 1, True), (1, 5, 1, 2, True), (3, 7, 4, 3, True), (16, 4, 4, 0, True), (16, 3, 2, 1, False)],
)
def test_first_layers(channels: int, kernel: int, stride: int, padding: int, patches: bool) -> None:
    samples = samples_of((1, channels, 12, 8))
    model = seeded(lambda: nn.Conv2d(channels, 8, kernel, stride, padding))
    network = lowered(model, samples)
    assert [type(step) for step in network.steps] == [LinearStep if patches else ImageStep]
    (own,) = network.inputs
    stored = network.quantize_inputs(samples[0][0].numpy())[own.tensor]
    if patches:
        columns = functional.unfold(samples[0][0], kernel, padding=padding, stride=stride)
        rows = columns.reshape(channels, kernel**2, -1).permute(2, 1, 0).flatten(1)
        assert (stored == network.tensors[own.tensor].scale.quantize(rows.numpy())).all()
    require_near(network, model, samples[0])


def test_an_input_that_something_else_takes_is_an_image() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(8, 8, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            """A residual around the first layer."""
            result: Tensor = self.conv(x) + x
            return result

    samples = samples_of((1, 8, 6, 5))
    model = seeded(Twice)
    made = compiled(model, samples, SMALL)
    assert made.network.inputs[0].windows is None
    run_program(made, samples[0], SMALL)
    require_near(made.network, model, samples[0])


@pytest.mark.parametrize("groups", [1, 8], ids=["dense", "depthwise"])
@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-0.2, 0.1)])
def test_a_clamp_holds_where_the_scale_reaches_further(groups: int, low: float, high: float) -> None:
    """A concatenation gives both parts one scale, for the wider of their ranges: saturation alone clamps nothing."""

    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.clamped, self.free = (nn.Conv2d(8, 8, 3, padding=1, groups=groups) for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat((self.clamped(x).clamp(low, high), 3 * self.free(x)), 1)

    samples = [(4 * torch.randn(1, 8, 6, 5, generator=torch.Generator().manual_seed(n)),) for n in range(2)]
    model = seeded(Joined)
    network = lowered(model, samples)
    (output,) = outputs_of(network, samples[0]).values()
    step = next(iter(network.output_scales.values())).scale
    assert output[:, 8:].min() < low - 2 * step
    assert output[:, :8].min() >= low - step
    assert output[:, :8].max() <= high + step
    require_near(network, model, samples[0], cosine=0.99)


def test_layers_of_modules_in_their_own_layout() -> None:
    """A container has layers by module, with the weights as the module has them."""
    samples = samples_of((1, 4, 8, 8))
    model = seeded(
        lambda: nn.Sequential(nn.Conv2d(4, 16, 2, 2), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.Conv2d(16, 8, 1, stride=2))
    )
    graph = graph_of(model, samples[0])
    made = compress_graph(graph, lambda _node: INT8)
    own = {
        str(node.module): encode(
            graph.constants[node.operands[1]],
            INT8,
            bias=graph.constants[node.operands[2]],
            name=str(node.module),
        )
        for node in graph.nodes
        if node.module is not None
    }
    assert {layer.kind for layer in own.values()} == {"conv2d"}
    ranges = calibrate(graph, samples)
    networks = [
        lower(graph, ranges, layers, word_bytes=8)
        for layers in (made, own, {f"x.{n}": w for n, w in own.items()} | own)
    ]
    first, *others = (next(iter(outputs_of(network, samples[0]).values())) for network in networks)
    assert all((first == other).all() for other in others)


def test_codebooks_of_patches() -> None:
    samples = samples_of((1, 8, 8, 8))
    model = seeded(lambda: nn.Conv2d(8, 16, 4, 4))
    graph = graph_of(model, samples[0])
    (node,) = graph.nodes
    ranges, weight = calibrate(graph, samples), graph.constants[node.operands[1]]
    whole = encode(weight, SSVQ, name=node.name)
    network = lower(graph, ranges, {node.name: whole}, word_bytes=8)
    (step,) = network.steps
    assert isinstance(step, LinearStep)
    assert (step.layer.weight == whole.integer_weight().flatten(1).numpy()).all()
    odd = encode(weight, replace(SSVQ, vector_dim=16), name=node.name)
    with pytest.raises(
        GraphError, match="vector_dim 16 must divide the 8 channels of a pixel, or the layer be a matrix"
    ):
        lower(graph, ranges, {node.name: odd}, word_bytes=8)


def test_layers_that_do_not_fit_their_node() -> None:
    samples = samples_of((1, 8, 8, 8))
    graph = graph_of(seeded(lambda: nn.Sequential(nn.ReLU(), nn.Conv2d(8, 16, 3))), samples[0])
    ranges = calibrate(graph, samples)
    weight = torch.randn(16, 8, 3, 3)
    name = graph.nodes[1].name
    for layers, rule in (
        ({}, "there must be a compressed layer of this name, or of its module's"),
        ({name: encode(weight[:, :4], INT8)}, r"must have weights of shape \(16, 8, 3, 3\), not \(16, 4, 3, 3\)"),
        ({name: encode(weight.flatten(1), SSVQ)}, "must be that of a convolution, not a matrix"),
        ({name: encode(weight, QuantizeConfig(format=WeightFormat.FLOAT))}, "format float cannot run on the core"),
    ):
        with pytest.raises(GraphError, match=f"^{name}: .*{rule}"):
            lower(graph, ranges, layers, word_bytes=8)


def test_choices() -> None:
    graph = graph_of(seeded(mobile), samples_of((1, 3, 16, 16))[0])
    choose = default_choice(graph, SSVQ)
    formats = {node.name: choose(node).format for node in graph.nodes if node.module is not None}
    assert formats["0"] is WeightFormat.INT8
    assert {formats[name] for name in formats if name.endswith("depthwise_conv")} == {WeightFormat.INT8}
    assert {formats[name] for name in formats if name.endswith("project_conv")} == {WeightFormat.SSVQ}
    with pytest.raises(GraphError, match=r"_depthwise_conv: a depthwise convolution must have int8 weights, not ssvq"):
        compress_graph(graph, lambda _node: SSVQ)
    few = graph_of(nn.Linear(8, 4), (torch.zeros(1, 8),))
    assert default_choice(few, SSVQ)(few.nodes[0]).format is WeightFormat.INT8
