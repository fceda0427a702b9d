"""Convolutional networks in integers: near the float model, and the program leaves what the golden model says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_network_lowering import INT8, SSVQ, outputs_of, run_program
from torch import Tensor, nn
from torch.nn import functional

from ssvq.models.efficientnet import Block, EfficientNetLite0, Stage
from ssvq.models.resnet import BasicBlock, Bottleneck, ResNet
from ssvq.network import GraphError, graph_of
from ssvq.network.calibration import calibrate
from ssvq.network.compilation import compile_network
from ssvq.network.compression import compress_graph, default_choice
from ssvq.network.emission import CompiledNetwork
from ssvq.network.integer_network import ImageStep, IntegerNetwork, LinearStep, VectorStep
from ssvq.network.lowering import lower
from ssvq.quantize.encode import encode
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
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


def mobile() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1),
        nn.ReLU6(),
        Block(16, Stage(1, 3, 1, 1, 16), stride=1),
        Block(16, Stage(1, 5, 2, 2, 24), stride=2),
        Block(24, Stage(1, 3, 1, 2, 24), stride=1),
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


# Patches


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


# Layers from elsewhere


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


# Movement


def test_parts_of_a_concatenation_are_computed_in_their_place() -> None:
    class Fire(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList([nn.Conv2d(8, 8, 1), nn.Conv2d(8, 16, 3, padding=1)])

        def forward(self, x: Tensor) -> Tensor:
            """Two layers of the same image, one after the other's channels."""
            x = torch.relu(x)
            return torch.cat([torch.relu(part(x)) for part in self.parts] + [x, x], dim=1)

    samples = samples_of((1, 8, 5, 4))
    model = seeded(Fire)
    made = compiled(model, samples, SMALL)
    assert [type(step) for step in made.network.steps] == [VectorStep, LinearStep, ImageStep, VectorStep, VectorStep]
    assert [step.target.channel for step in made.network.steps[1:]] == [0, 8, 24, 32]
    run_program(made, samples[0], SMALL)
    require_near(made.network, model, samples[0])


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._function, self.conv = function, nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Of a convolution's result."""
        return self._function(self.conv(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.flatten(2).transpose(1, 2).mean(1),
        lambda x: x.mean(2),
        lambda x: x.flatten(2).softmax(1),
        lambda x: x.amax((2, 3)),
        lambda x: torch.relu(x - torch.arange(8).view(8, 1, 1) / 8),
        lambda x: x * torch.linspace(-1, 1, 8).view(8, 1, 1),
        lambda x: x * -0.5,
        lambda x: x + torch.linspace(-1, 1, 30).view(6, 5),
        lambda x: torch.cat([x, x], dim=2),
        lambda x: functional.hardswish(x.mean((2, 3))),
        lambda x: functional.max_pool2d(x[:, :, 1:], 2),
    ],
)
def test_functions_of_images(function: Callable[[Tensor], Tensor]) -> None:
    model, samples = seeded(lambda: Function(function)), samples_of((1, 8, 6, 5))
    made = compiled(model, samples, SMALL)
    run_program(made, samples[0], SMALL)
    require_near(made.network, model, samples[0], cosine=0.998)


def test_the_largest_pixels_are_exact() -> None:
    samples = samples_of((1, 8, 6, 6))
    network = lowered(seeded(lambda: nn.MaxPool2d(3, 2, 1)), samples)
    (own,) = network.inputs
    given = network.quantize_inputs(samples[0][0].numpy())
    real = network.tensors[own.tensor].scale.dequantize(given[own.tensor]).reshape(1, 6, 6, 8).transpose(0, 3, 1, 2)
    expected = functional.max_pool2d(torch.from_numpy(real), 3, 2, 1)
    assert (network.output(network.run(given), "output") == expected.numpy()).all()


REFUSED: list[tuple[Callable[[], nn.Module], str]] = [
    (lambda: nn.Conv2d(8, 8, 3, stride=8), "stride must be at most 7"),
    (lambda: nn.Conv2d(8, 8, 2, dilation=16), "dilation must be at most 15"),
    (lambda: nn.Conv2d(8, 16, 3, groups=2), "the inputs and outputs of a group must begin with a memory word"),
    (lambda: nn.Conv2d(8, 8, 9, groups=8), "at most 8 rows and columns, not 9 x 9"),
    (lambda: nn.ConvTranspose2d(8, 8, 3, 2), "columns must be a multiple of the stride 2, not 49"),
    (lambda: nn.ConvTranspose2d(8, 8, 2, 3), "the kernel must be at least as long as the stride"),
    (lambda: nn.ConvTranspose2d(8, 8, 3, 1, 3), "padding less than what it adds"),
    (lambda: nn.ConvTranspose2d(8, 8, 2, 2, groups=2), "without groups and dilation"),
    (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), "all windows have one divisor"),
    (lambda: nn.AvgPool2d(24), "a window must have at most"),
    (lambda: Function(lambda x: x.mean(1)), "a mean must be over activations, not over channels"),
    (
        lambda: Function(lambda x: x * x[:, :, :1, :1]),
        r"both operands must have the shape \(1, 8, 24, 24\)",
    ),
    (lambda: Function(lambda x: torch.cat([x[:, :4], x], dim=1)), "each part of a concatenation must begin with a"),
    (lambda: Function(lambda x: x.flatten(1)), "Reshape does not keep activations and channels apart"),
]


@pytest.mark.parametrize(("make", "rule"), REFUSED)
def test_what_the_core_does_not_do_is_named(make: Callable[[], nn.Module], rule: str) -> None:
    model = nn.Sequential(nn.ReLU(), seeded(make)).eval()
    with pytest.raises(GraphError, match=rule):
        compiled(model, samples_of((1, 8, 24, 24), 1), LARGE)
