"""Whole networks in integers: near the float model, and the program leaves what the golden model says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ssvq.models.vision_transformer import VisionTransformer
from ssvq.network import Graph, GraphError, Node, graph_of
from ssvq.network import operators as ops
from ssvq.network.calibration import calibrate
from ssvq.network.compilation import compile_network
from ssvq.network.compression import compress_graph
from ssvq.network.integer.attention_order import by_heads
from ssvq.network.integer.column_order import by_columns
from ssvq.network.integer.integer_network import IntegerNetwork, ProductStep
from ssvq.network.integer.lowering import lower
from ssvq.network.program.emission import INPUT, OUTPUT, CompiledNetwork
from ssvq.network.tensor_type import TensorType
from ssvq.program import place_input, read_output
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_sim.systems.core_model import CoreModel

INT8 = QuantizeConfig(format=WeightFormat.INT8)
SSVQ = QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=16, vector_dim=8)
SMALL = PRESETS["tiny"].replace(name="small", activation_bytes=16 << 10, accumulator_depth=16, vector_lanes=4)
"""Fewer accumulators than activations: everything is done in parts."""


def small_vit(**changes: Any) -> VisionTransformer:
    sizes = {"image_size": 28, "patch_size": 7, "in_channels": 1, "width": 32, "depth": 2, "heads": 4, "mlp_ratio": 2}
    torch.manual_seed(0)
    return VisionTransformer(**{**sizes, "classes": 10, **changes}).eval()


def images(count: int = 2) -> list[tuple[Tensor]]:
    return [(torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(n)),) for n in range(count)]


def compiled(
    model: nn.Module, samples: list[tuple[Tensor]], config: CoreConfig, weights: QuantizeConfig = INT8
) -> CompiledNetwork:
    graph = graph_of(model, samples[0])
    layers = compress_graph(graph, lambda node: weights)
    return compile_network(graph, calibrate(graph, samples), layers, config)


def outputs_of(network: IntegerNetwork, sample: tuple[Tensor]) -> dict[str, Any]:
    memory = network.run(network.quantize_inputs(*(value.numpy() for value in sample)))
    return {name: network.output(memory, name) for name in network.outputs}


def run_program(made: CompiledNetwork, sample: tuple[Tensor], config: CoreConfig) -> None:
    """The functional model of the core leaves what the golden model gives."""
    network, program = made.network, made.program
    given = network.quantize_inputs(*(value.numpy() for value in sample))
    memory = network.run(given)
    window = program.new_memory()
    for own in network.inputs:
        place_input(window, program, given[own.tensor], job=f"{INPUT}{own.name}")
    CoreModel(config).run(window, program.descriptor_offset, program.descriptor_count)
    for name in network.outputs:
        found = read_output(window, program, job=f"{OUTPUT}{name}")
        assert (network.restore(name, found) == network.output(memory, name)).all()


@pytest.mark.parametrize("weights", [INT8, SSVQ], ids=["int8", "ssvq"])
@pytest.mark.parametrize("config", [PRESETS["tiny"], SMALL], ids=lambda c: c.name)
def test_a_transformer(config: CoreConfig, weights: QuantizeConfig) -> None:
    samples = images()
    made = compiled(small_vit(), samples, config, weights)
    assert made.plan.words <= config.activation_depth
    for sample in samples:
        run_program(made, sample, config)


def test_integers_are_near_the_float_model() -> None:
    model, samples = small_vit(), images(4)
    with torch.no_grad():
        # at the start of training the class token is far smaller than the patches, and all have one scale
        model.cls_token.normal_()
        model.pos_embed.normal_()
    network = compiled(model, samples, PRESETS["tiny"]).network
    for sample in samples:
        (found,) = outputs_of(network, sample).values()
        expected = model(*sample).detach().numpy()
        assert np.abs(found - expected).max() <= 0.06 * np.abs(expected).max()


def test_orders_change_nothing() -> None:
    model, samples = small_vit(), images()
    graph = graph_of(model, samples[0])
    layers = compress_graph(graph, lambda node: INT8)
    plain = lower(graph, calibrate(graph, samples), layers, word_bytes=8)
    heads = by_heads(plain)
    parts = by_columns(heads, word_bytes=8)
    assert len(plain.steps) < len(heads.steps) < len(parts.steps)
    expected = outputs_of(plain, samples[0])
    for network in (heads, parts):
        assert (outputs_of(network, samples[0])["output"] == expected["output"]).all()
        written: set[str] = {own.tensor for own in network.inputs}
        for step in network.steps:
            for block in step.sources:
                assert block.tensor in written or network.tensors[block.tensor].values is not None
            written.add(step.target.tensor)


class Functions(nn.Module):
    """What the vector unit does, and layers with clamps."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(16, 24), nn.Linear(24, 16)
        self.norm = nn.LayerNorm(16)

    def forward(self, x: Tensor) -> Tensor:
        """(1, T, 16) to the same."""
        y = functional.relu6(self.first(x))
        y = functional.relu(self.second(functional.hardswish(y)))
        z = torch.sigmoid(self.norm(x + y)) * y
        return torch.cat([z[:, :1], torch.softmax(z, dim=2)[:, 1:]], dim=1) + 0.5


def test_functions_gates_and_clamps() -> None:
    torch.manual_seed(1)
    samples = [(torch.randn(1, 9, 16),) for _ in range(3)]
    model = Functions().eval()
    config = PRESETS["tiny"]
    made = compiled(model, samples, config)
    for sample in samples:
        run_program(made, sample, config)
        (found,) = outputs_of(made.network, sample).values()
        expected = model(*sample).detach().numpy()
        assert np.abs(found - expected).max() <= 0.04 * np.abs(expected).max()


class Applied(nn.Module):
    """A function of the outputs of two layers."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], outputs: int = 16) -> None:
        super().__init__()
        torch.manual_seed(2)
        self._function = function
        self.first, self.second = nn.Linear(16, outputs), nn.Linear(16, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(1, T, 16) to anything."""
        return self._function(self.first(x), self.second(x))


def require_exact_and_near(model: nn.Module, *, outputs: float = 0.03) -> None:
    """In two memories, and within a part of the largest output of the float model."""
    samples = [(torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(n)),) for n in range(3)]
    made = compiled(model.eval(), samples, PRESETS["tiny"])
    run_program(made, samples[0], PRESETS["tiny"])
    (found,) = outputs_of(made.network, samples[0]).values()
    expected = model(*samples[0]).detach().numpy()
    assert np.abs(found - expected).max() <= outputs * np.abs(expected).max()


def test_a_softmax_of_a_layer_has_all_channels() -> None:
    require_exact_and_near(Applied(lambda x, y: torch.softmax(x + 0 * y, dim=2), 32))
    require_exact_and_near(nn.Sequential(nn.Linear(16, 32), nn.Softmax(dim=2)))


SCALED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "concatenation": lambda x, y: torch.cat([0.1 * x, y], dim=2),
    "both": lambda x, y: torch.cat([0.5 * x, 0.5 * y], dim=1),
    "movement": lambda x, y: torch.tanh((0.1 * torch.cat([x, 2 * y], dim=2))[:, 1:, :16].reshape(4, 16)),
    "part": lambda x, y: (0.3 * torch.cat([x, y], dim=1)[:, 5:]).reshape(5, 16) * 1.5,
}


@pytest.mark.parametrize("name", SCALED)
def test_movement_after_a_factor(name: str) -> None:
    """A factor only changes what integers mean, and what is moved afterwards means the same."""
    require_exact_and_near(Applied(SCALED[name]))


def test_many_sums_of_sums() -> None:
    """Each has two ways to the next: 2**40 ways from the input to the output."""

    def function(x: Tensor, y: Tensor) -> Tensor:
        for _ in range(40):
            x = 0.5 * (x + torch.tanh(y + x))
        return x

    require_exact_and_near(Wrapped(lambda x: function(x, x), 16), outputs=0.1)


class Several(nn.Module):
    """Values that something takes and that are outputs too, which no step may leave out or put elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.other = nn.Linear(16, 16), nn.Linear(16, 16)
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(1, T, 16) to the stages of an attention and more."""
        y, z = self.layer(x), self.other(x)
        heads = [part(x).unflatten(2, (2, 8)).transpose(1, 2) for part in (self.query, self.key, self.value)]
        scores = heads[0] @ heads[1].transpose(2, 3)
        shares = scores.softmax(3)
        mixed = (shares @ heads[2]).transpose(1, 2).flatten(2)
        return y, torch.relu(y), z, torch.cat([z, mixed], dim=1), scores, shares


def test_outputs_that_others_take_too() -> None:
    torch.manual_seed(2)
    samples = [(torch.randn(1, 12, 16),) for _ in range(2)]
    model = Several().eval()
    made = compiled(model, samples, PRESETS["tiny"])
    for sample in samples:
        run_program(made, sample, PRESETS["tiny"])
        found = outputs_of(made.network, sample)
        for (name, values), result in zip(found.items(), model(*sample), strict=True):
            expected = result.detach().numpy()
            assert np.abs(values - expected).max() <= 0.05 * np.abs(expected).max(), name


def attention(x: Tensor) -> Tensor:
    """Of two heads, (1, T, 16) to the same."""
    heads = x.unflatten(2, (2, 8)).transpose(1, 2)
    return functional.scaled_dot_product_attention(heads, heads, heads).transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """A layer, attention and a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        """(1, T, 16) to the same."""
        mixed: Tensor = self.last(attention(self.first(x)))
        return mixed


@pytest.mark.parametrize("tokens", [8, 12, 16])
def test_scores_of_any_number_of_tokens(tokens: int) -> None:
    """8 and 16 are whole memory words, which heads share otherwise."""
    samples = [(torch.randn(1, tokens, 16),) for _ in range(2)]
    made = compiled(Attention().eval(), samples, PRESETS["tiny"])
    assert sum(isinstance(step, ProductStep) for step in made.network.steps) == 4
    run_program(made, samples[1], PRESETS["tiny"])


def linear(features: int = 8) -> nn.Module:
    return nn.Linear(features, 8)


class Wrapped(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor], features: int = 8) -> None:
        super().__init__()
        self._function, self.layer = function, linear(features)

    def forward(self, x: Tensor) -> Tensor:
        """Anything."""
        return self._function(self.layer(x))


REFUSED: list[tuple[Callable[[Tensor], Tensor], str]] = [
    (lambda x: x.sort(dim=2).values, "is not among the core's operations"),
    (lambda x: torch.softmax(x, dim=1), "must be over the channels of each activation|over the last axis"),
    (lambda x: x.transpose(1, 2) @ x.flip(1), "is not among the core's operations|must"),
    (lambda x: torch.cat([x[..., :4], x], dim=2), "each part of a concatenation must begin with a memory word"),
    (lambda x: torch.cat([x.reshape(1, 2, 3, 8)] * 2, dim=2), "a concatenation must be along channels, or along the"),
    (lambda x: x.transpose(1, 2).reshape(1, 8, 6).softmax(2), "must"),
    (lambda x: (y := torch.cat([x, x], 2)).reshape(12, 1, 8) @ y.reshape(12, 8, 1), "matrices of a batch must be in"),
]


@pytest.mark.parametrize(("function", "rule"), REFUSED)
def test_what_the_core_does_not_do_is_named(function: Callable[[Tensor], Tensor], rule: str) -> None:
    with pytest.raises(GraphError, match=rule):
        compiled(Wrapped(function).eval(), [(torch.randn(1, 6, 8),)], PRESETS["tiny"])


class Constant(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """An output that does not depend on the input."""
        return torch.relu(x), torch.ones(1, 6, 8)


def test_an_output_that_is_a_constant_is_refused() -> None:
    with pytest.raises(GraphError, match="an output must be computed"):
        compiled(Constant().eval(), [(torch.randn(1, 6, 8),)], PRESETS["tiny"])


def test_a_network_that_does_not_fit_in_parts_is_refused_with_the_step() -> None:
    rule = "it needs 432 words even in parts, the activation memory has 256"
    with pytest.raises(GraphError, match=f"^blocks.0.attn.matmul.0: {rule}$"):
        compiled(small_vit(width=64), images(1), PRESETS["tiny"].replace(activation_bytes=2048))


def test_two_things_of_one_name_are_refused() -> None:
    """Rows of a transposed convolution are stored by its name and their number."""
    x = torch.randn(1, 8, 4, 4)
    graph = graph_of(nn.Sequential(nn.Sigmoid(), nn.ConvTranspose2d(8, 8, 2, stride=2)).eval(), (x,))
    first, second = graph.nodes
    nodes = replace(first, name="1.0"), replace(second, operands=("1.0", *second.operands[1:]))
    graph = replace(graph, nodes=nodes)
    layers = compress_graph(graph, lambda node: INT8)
    with pytest.raises(GraphError, match=r"^1.0: two things that are stored have this name"):
        compile_network(graph, calibrate(graph, [(x,)]), layers, PRESETS["tiny"])


def with_unused_movement(other: Tensor) -> tuple[Graph, Tensor]:
    """A function of (1, 6, 8), with one more input that is only moved; and an input of the function."""
    x, shape = torch.randn(1, 6, 8), (8, other.shape[1])
    type_of = TensorType(shape=shape, dtype=other.dtype)
    moved = Node(name="moved", operator=ops.Reshape(shape=shape), operands=("other",), type=type_of)
    graph = graph_of(nn.ReLU().eval(), (x,))
    inputs = {**graph.inputs, "other": TensorType.of(other)}
    return replace(graph, inputs=inputs, nodes=(*graph.nodes, moved)), x


def test_an_input_that_no_step_takes() -> None:
    graph, x = with_unused_movement(torch.zeros(1, 6, 8))
    made = compile_network(graph, calibrate(graph, [(x, x)]), {}, PRESETS["tiny"])
    assert len(made.network.inputs) == 1
    run_program(made, (x,), PRESETS["tiny"])


@pytest.mark.parametrize("other", [torch.zeros(1, 0, 8), torch.zeros(1, 6, 8, dtype=torch.int64)])
def test_values_without_a_range_are_refused(other: Tensor) -> None:
    graph, x = with_unused_movement(other)
    with pytest.raises(GraphError, match="^moved: 'other' has no range"):
        compile_network(graph, calibrate(graph, [(x, other)]), {}, PRESETS["tiny"])


def test_inputs_are_checked() -> None:
    network = compiled(linear(), [(torch.randn(1, 3, 8),)], PRESETS["tiny"]).network
    with pytest.raises(GraphError, match="there must be 1, not 0"):
        network.quantize_inputs()
    with pytest.raises(GraphError, match=r"an input must be int8 of shape \(3, 8\)"):
        network.run({})
