"""Heads whose channels are no whole memory words: on the core, in integers that do not depend on its words."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from test_network_lowering import INT8, SSVQ, outputs_of, run_program
from test_network_masks import assembled, run_exact, seeded
from torch import Tensor, nn
from torch.nn import functional

from ssvq.network import Graph, GraphError, graph_of
from ssvq.network.calibration import ValueRange, calibrate
from ssvq.network.compilation import compile_network
from ssvq.network.compression import compress_graph
from ssvq.network.integer.attention_order import by_heads
from ssvq.network.integer.integer_network import IntegerNetwork, LinearStep, ProductStep, VectorStep
from ssvq.network.integer.lowering import lower
from ssvq.quantize.layer import CompressedLayer
from ssvq_gen.config import PRESETS, CoreConfig

HEADS, TOKENS = 3, 10
WEIGHTS = {"int8": INT8, "ssvq": SSVQ}


class Heads(nn.Module):
    """Packed projections, attention, and a layer."""

    def __init__(self, size: int, causal: bool = False, count: int = HEADS) -> None:
        super().__init__()
        width = count * size
        self.packed, self.out, self.causal = nn.Linear(width, 3 * width), nn.Linear(width, width), causal
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        """(1, T, C) to the same."""
        q, k, v = self.packed(x).unflatten(2, (3, self.count, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(4 * q, k, v, is_causal=self.causal)
        found: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return found


def tokens(width: int) -> Tensor:
    return torch.randn(1, TOKENS, width, generator=torch.Generator().manual_seed(1))


@cache
def prepared(
    size: int, causal: bool, weights: str
) -> tuple[nn.Module, Graph, dict[str, ValueRange], dict[str, CompressedLayer]]:
    model, x = seeded(Heads, size, causal), tokens(HEADS * size)
    graph = graph_of(model, (x,))
    layers = compress_graph(graph, lambda _node: WEIGHTS[weights])
    return model, graph, dict(calibrate(graph, [(x,)])), dict(layers)


@pytest.mark.parametrize("preset", ["tiny", "edge", "base"])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("size", [4, 8, 16, 24, 48])
def test_heads_of_any_size(size: int, causal: bool, weights: str, preset: str) -> None:
    """The core gives what a core gives whose words are single channels, where nothing has to be kept apart."""
    model, graph, ranges, layers = prepared(size, causal, weights)
    x, config = tokens(HEADS * size), PRESETS[preset]
    made = compile_network(graph, ranges, layers, config)
    run_program(made, (x,), config)
    (found,) = outputs_of(made.network, (x,)).values()
    (plain,) = outputs_of(lower(graph, ranges, layers, word_bytes=1), (x,)).values()
    assert (found == plain).all()
    assert any(isinstance(step, VectorStep) and ".own." in step.name for step in made.network.steps) == bool(
        size % config.word_bytes
    )
    if weights == "int8":
        with torch.no_grad():
            expected = model(x).numpy()
        assert abs(found - expected).max() <= 0.05 * abs(expected).max()


@pytest.mark.parametrize(("count", "size"), [(1, 5), (2, 33), (3, 7), (5, 2), (5, 13), (9, 3)])
def test_heads_anywhere_in_words(count: int, size: int) -> None:
    model, x = seeded(Heads, size, False, count), tokens(count * size)
    graph = graph_of(model, (x,))
    ranges, layers = calibrate(graph, [(x,)]), compress_graph(graph, lambda _node: INT8)
    (plain,) = outputs_of(lower(graph, ranges, layers, word_bytes=1), (x,)).values()
    for preset in ("tiny", "edge", "base"):
        made = compile_network(graph, ranges, layers, PRESETS[preset])
        run_program(made, (x,), PRESETS[preset])
        assert (outputs_of(made.network, (x,))["output"] == plain).all()


def small(preset: str, words: int, depth: int) -> CoreConfig:
    config = PRESETS[preset]
    return config.replace(name="small", activation_bytes=words * config.word_bytes, accumulator_depth=depth)


@pytest.mark.parametrize("size", [4, 24])
def test_in_bands(size: int) -> None:
    """In a memory that is too small, and with fewer accumulators than activations."""
    _, graph, ranges, layers = prepared(size, True, "int8")
    x, config = tokens(HEADS * size), small("edge", 96 if size == 4 else 160, 8)
    made = compile_network(graph, ranges, layers, config)
    assert any(" band " in step.name for step in made.network.steps)
    run_program(made, (x,), config)
    (found,) = outputs_of(made.network, (x,)).values()
    (plain,) = outputs_of(lower(graph, ranges, layers, word_bytes=1), (x,)).values()
    assert (found == plain).all()


def test_the_order_of_heads() -> None:
    """What a head's product needs is made before the product in front of it, what is made of it after a softmax."""
    _, graph, ranges, layers = prepared(24, True, "int8")
    plain = lower(graph, ranges, layers, word_bytes=32)
    network = by_heads(plain)
    names = [
        step.name.removesuffix(".merge") + ("" if isinstance(step, ProductStep) else "*") for step in network.steps
    ]
    scores, values = (node.name for node in graph.nodes if node.name.startswith("matmul"))
    (softmax,) = (node.name for node in graph.nodes if node.name.startswith("softmax"))
    assert names[3:-1] == [
        f"{scores}.0",
        f"{scores}.own.1*",
        f"{scores}.1",
        f"{softmax}.mask.0*",
        f"{softmax}.0*",
        f"{scores}.own.2*",
        f"{values}.0.0",
        f"{scores}.2",
        f"{softmax}.mask.1*",
        f"{softmax}.1*",
        f"{values}.1.0",
        f"{values}.1.32",
        f"{softmax}.mask.2*",
        f"{softmax}.2*",
        f"{values}.1.0*",
        f"{values}.2.32",
        f"{values}.2.64",
        f"{values}.2.32*",
    ]
    x = tokens(72)
    assert (outputs_of(network, (x,))["output"] == outputs_of(plain, (x,))["output"]).all()
    written = {own.tensor for own in network.inputs}
    for step in network.steps:
        for block in step.sources:
            assert block.tensor in written or network.tensors[block.tensor].values is not None
        written.add(step.target.tensor)


class Memory(nn.Module):
    """Queries of some activations, keys and values of others, from layers of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(40, 60) for _ in range(3))

    def forward(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """(1, T, 40) and (1, S, 40) to (1, T, 60), and shares (1, 5, T, S)."""
        q, k, v = (
            layer(own).unflatten(2, (5, 12)).transpose(1, 2)
            for layer, own in ((self.query, x), (self.key, memory), (self.value, memory))
        )
        shares = (3 * q @ k.transpose(2, 3)).softmax(3)
        return (shares @ v).transpose(1, 2).flatten(2), shares


@pytest.mark.parametrize("preset", ["tiny", "base"])
def test_keys_of_other_activations_and_shares_that_are_an_output(preset: str) -> None:
    inputs = tokens(40), torch.randn(1, 7, 40, generator=torch.Generator().manual_seed(3))
    made = assembled(seeded(Memory), inputs, preset)
    assert not made.partition.reasons
    (part,) = made.network.parts
    values = made.network.run_reference(inputs)
    run_program(part.compiled, inputs, PRESETS[preset])
    with torch.no_grad():
        expected = seeded(Memory)(*inputs)
    for found, wanted in zip(values.values(), expected, strict=True):
        assert (found - wanted).abs().max() <= 0.05 * wanted.abs().max()


def groups(x: Tensor, second: Tensor) -> Tensor:
    """Matrices of a batch of two axes, one of length 1."""
    q, k = (own.reshape(2, 1, 5, 16) for own in (x[:, :, :16], second[:, :, :16]))
    return ((q @ k.transpose(2, 3)).softmax(3) @ k).permute(1, 2, 0, 3).reshape(1, 5, 32)


def gate(x: Tensor, second: Tensor) -> Tensor:
    return x[..., :20] * torch.sigmoid(x[..., 20:]) + second[..., :20]


class Two(nn.Module):
    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], width: int = 40) -> None:
        super().__init__()
        self.function = function
        self.first, self.second = nn.Linear(16, width), nn.Linear(16, width)

    def forward(self, x: Tensor) -> Tensor:
        """(1, T, 16) to anything."""
        return self.function(self.first(x), self.second(x))


@pytest.mark.parametrize(("function", "preset"), [(groups, "tiny"), (gate, "tiny"), (gate, "base")])
def test_other_parts_of_words(function: Callable[[Tensor, Tensor], Tensor], preset: str) -> None:
    model, x = seeded(Two, function), tokens(16)
    made = assembled(model, (x,), preset)
    assert not made.partition.reasons
    found = run_exact(made, (x,), preset)
    with torch.no_grad():
        expected = model(x)
    assert (found - expected).abs().max() <= 0.05 * expected.abs().max()


def steps_of(function: Callable[[Tensor, Tensor], Tensor], word_bytes: int) -> IntegerNetwork:
    model, x = seeded(Two, function), tokens(16)
    graph = graph_of(model, (x,))
    return lower(graph, calibrate(graph, [(x,)]), compress_graph(graph, lambda _node: INT8), word_bytes=word_bytes)


def test_a_layer_is_divided_only_where_parts_begin_within_words() -> None:
    counts = {
        words: sum(isinstance(step, LinearStep) for step in steps_of(gate, words).steps) for words in (4, 8, 16, 32)
    }
    assert counts == {4: 2, 8: 3, 16: 3, 32: 3}


def heads(x: Tensor, start: int, stride: int, size: int = 4) -> Tensor:
    """Three heads, (1, 3, T, size), of channels so far apart."""
    stop = start + 3 * stride
    return x[..., start:stop].unflatten(2, (3, stride))[..., :size].transpose(1, 2)


REFUSED: list[tuple[Callable[[Tensor, Tensor], Tensor], str]] = [
    (
        lambda x, y: (heads(x, 0, 4) @ heads(y, 0, 12).transpose(2, 3)).softmax(3) @ heads(y, 0, 4),
        r"^matmul: both operands must begin at the same channel of a memory word of 32, not at 4 and 12$",
    ),
    (
        lambda x, y: (heads(x, 0, 4) @ heads(y, 0, 4).transpose(2, 3)).softmax(3) @ heads(y, 0, 8),
        r"^matmul_2: matrix 1 of its second operand must be beside the others, from channel 4 on, not from 8 on$",
    ),
    (
        lambda x, y: torch.relu(heads(x, 0, 4) @ heads(y, 0, 4).transpose(2, 3)) @ heads(torch.tanh(y), 8, 4),
        r"^matmul_2: the first matrix of its second operand must begin with a memory word of 32 channels, not with",
    ),
    (
        lambda x, y: torch.tanh(x)[..., 4:14] @ y,
        r"^matmul: its first operand must begin with a memory word of 32 channels, not with channel 4$",
    ),
    (
        lambda x, y: x[..., :20] * x[..., 10:30] + y[..., :20],
        r": its operand must begin with a memory word of 32 channels, not with channel 10$",
    ),
    (
        lambda x, y: torch.tanh(x + y)[..., 4:12],
        r"^output: an output must begin with a memory word of 32 channels, not",
    ),
]


@pytest.mark.parametrize(("function", "rule"), REFUSED)
def test_what_stays_on_the_host(function: Callable[[Tensor, Tensor], Tensor], rule: str) -> None:
    """It is named by the compiler, and the host does it."""
    model, x = seeded(Two, function), tokens(16)
    graph = graph_of(model, (x,))
    layers = compress_graph(graph, lambda _node: INT8)
    with pytest.raises(GraphError, match=rule):
        compile_network(graph, calibrate(graph, [(x,)]), layers, PRESETS["base"])
    made = assembled(model, (x,), "base")
    assert made.partition.reasons
    found = run_exact(made, (x,), "base")
    with torch.no_grad():
        expected = model(x)
    assert (found - expected).abs().max() <= 0.05 * expected.abs().max()
