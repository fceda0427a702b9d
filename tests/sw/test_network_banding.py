"""Networks that do not fit are done in bands and through DRAM, and nothing changes in their integers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_networks import ImageBuilder
from test_network_images import NETWORKS, samples_of, seeded
from test_network_lowering import INT8, images, small_vit
from torch import nn

from ssvq.network import graph_of
from ssvq.network.calibration import calibrate
from ssvq.network.compression import compress_graph, default_choice
from ssvq.network.errors import GraphError
from ssvq.network.integer.attention_order import by_heads
from ssvq.network.integer.integer_network import (
    ImageStep,
    IntegerNetwork,
    ProductStep,
    TransferStep,
    VectorStep,
    read_block,
)
from ssvq.network.integer.lowering import lower
from ssvq.network.program.emission import INPUT, OUTPUT, emit, plan
from ssvq.network.tiling.banding import banded
from ssvq.network.tiling.early_fills import DISTANCES, early_fills, with_early_fills
from ssvq.network.tiling.segments import split
from ssvq.network.tiling.step_map import StepMap
from ssvq.program import place_input, read_output
from ssvq.reference import Int8Array
from ssvq.vector_scales import rescaled_sum
from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_gen.format import STREAM_OPCODES, Opcode
from ssvq_sim.systems.core_model import CoreModel

SMALL = PRESETS["tiny"].replace(name="small", accumulator_depth=16)


def memory_of(words: int, config: CoreConfig = SMALL) -> CoreConfig:
    return config.replace(name=f"of{words}", activation_bytes=words * config.word_bytes)


def inputs_of(network: IntegerNetwork) -> dict[str, Int8Array]:
    rng = np.random.default_rng(len(network.steps))
    tensors = [network.tensors[own.tensor] for own in network.inputs]
    return {own.name: rng.integers(-128, 128, (own.tokens, own.channels), dtype=np.int8) for own in tensors}


def check(whole: IntegerNetwork, config: CoreConfig) -> IntegerNetwork:
    """The banded network gives the integers of the whole one, and its program gives them on the functional model."""
    made = emit(with_early_fills(banded(whole, config), config), config)
    network, program, given_inputs = made.network, made.program, inputs_of(whole)
    assert made.plan.words <= config.activation_depth
    expected, found = whole.run(given_inputs), network.run(given_inputs)
    window = program.new_memory()
    for own in network.inputs:
        place_input(window, program, given_inputs[own.tensor], job=f"{INPUT}{own.name}")
    CoreModel(config).run(window, program.descriptor_offset, program.descriptor_count)
    for name, view in network.outputs.items():
        np.testing.assert_array_equal(view.read(found[view.tensor]), view.read(expected[view.tensor]))
        output = network.restore(name, read_output(window, program, job=f"{OUTPUT}{name}"))
        np.testing.assert_array_equal(output, network.output(expected, name))
    return network


def bottlenecks(height: int = 16, width: int = 12, seed: int = 0) -> IntegerNetwork:
    """Two blocks as in EfficientNet, the second with a residual, and a global pool."""
    b = ImageBuilder(seed)
    b.image("x", (height, width, 3))
    b.convolution("stem", "x", 8, stride=2)
    b.depthwise("first.depthwise", b.linear("first.expand", "stem", 24))
    b.linear("first.project", "first.depthwise", 8)
    b.depthwise("second.depthwise", b.linear("second.expand", "first.project", 24), kernel=5)
    b.sum("second", b.linear("second.project", "second.depthwise", 8), "first.project")
    b.function("act", "second")
    b.linear("head", b.mean("pool", "act"), 10)
    return b.network({"x": (height, width, 3)}, "head")


def words_used(network: IntegerNetwork, config: CoreConfig = SMALL) -> int:
    return plan(network, memory_of(1 << 14, config)).words


def test_a_network_that_fits_stays_as_it_is() -> None:
    network = bottlenecks()
    assert banded(network, memory_of(1024)) is network


@pytest.mark.parametrize("words", [384, 320, 272])
def test_bottlenecks(words: int) -> None:
    network = bottlenecks()
    assert words_used(network) > words
    found = check(network, memory_of(words))
    assert len(found.steps) > len(network.steps)


def test_what_bands_share() -> None:
    """Weights are in DRAM once, and parameters and tables are fetched once for all bands."""
    network, config = bottlenecks(), memory_of(320)
    made = emit(banded(network, config), config)
    layers = sum(hasattr(step, "layer") or step.name == "stem" for step in network.steps)
    descriptors = list(made.program.descriptors())
    streams = [d["dram_offset"] for d in descriptors if d["opcode"] in STREAM_OPCODES]
    assert len(set(streams)) == layers < len(streams)
    constants = [own.name for own in made.plan.lifetimes if own.name not in made.network.tensors]
    fetched = [d for d in descriptors if d["opcode"] == Opcode.LOAD]
    moved = sum(isinstance(step, TransferStep) for step in made.network.steps)
    inputs = sum(not made.network.tensors[own.tensor].in_dram for own in network.inputs)
    assert len(fetched) == len(constants) + moved + inputs
    assert max(Counter(d["dram_offset"] for d in fetched).values()) == 1


def residual_images(size: int = 16) -> IntegerNetwork:
    """An image that is needed again after a mean of what is made of it, and leaves the core; all are large."""
    b = ImageBuilder(1)
    b.image("x", (size, size, 3))
    b.function("act", b.convolution("first", "x", 16))
    b.depthwise("depthwise", "act", kernel=5)
    b.linear("head", b.mean("pool", b.pool("half", b.linear("project", "depthwise", 16))), 10)
    b.sum("sum", "first", "project")
    return b.network({"x": (size, size, 3)}, "sum", "head")


def fill_places(network: IntegerNetwork) -> dict[str, int]:
    return {step.name: n for n, step in enumerate(network.steps) if step.name.startswith("fill ")}


def test_copies_from_dram_are_early_but_after_what_writes_them() -> None:
    config = memory_of(256)
    late = banded(residual_images(), config)
    early = early_fills(late, 100)
    before, after = fill_places(late), fill_places(early)
    assert all(after[name] <= before[name] for name in before)
    assert sum(after.values()) < sum(before.values())
    written: set[str] = {own.tensor for own in early.inputs}
    for step in early.steps:
        if isinstance(step, TransferStep):
            assert not early.tensors[step.source.tensor].in_dram or step.source.tensor in written
            written.add(step.target.tensor)
    assert early_fills(late, 0).steps == late.steps


def test_copies_are_only_early_where_there_is_room() -> None:
    roomy, config = memory_of(1 << 14), memory_of(256)
    network = banded(residual_images(), config)
    assert fill_places(with_early_fills(network, roomy)) == fill_places(early_fills(network, DISTANCES[0]))
    plan(with_early_fills(network, config), config)


def test_spills() -> None:
    """Large inputs and outputs are in DRAM from the start, and what is in between goes there and comes back."""
    found = check(residual_images(), memory_of(256))
    in_dram = {name for name, tensor in found.tensors.items() if tensor.in_dram}
    assert {"x", "sum", "first"} <= in_dram
    assert "head" not in in_dram
    stored = {step.target.tensor for step in found.steps if isinstance(step, TransferStep)} & in_dram
    fetched = {step.source.tensor for step in found.steps if isinstance(step, TransferStep)} & in_dram
    assert "x" in fetched - stored
    assert "sum" in stored - fetched
    assert "first" in stored & fetched


def test_a_gate_for_all_pixels() -> None:
    """One pixel that every band takes."""
    b = ImageBuilder(2)
    b.image("x", (16, 12, 8))
    b.mean("mean", b.convolution("first", "x", 16))
    b.linear("last", b.gate("gate", "first", b.linear("weights", "mean", 16)), 24)
    network = b.network({"x": (16, 12, 8)}, "last")
    found = check(network, memory_of(words_used(network) // 2 // 64 * 64))
    assert "gate band 1" in {step.name for step in found.steps}


def test_bands_are_chosen_the_same_way_again() -> None:
    config = memory_of(320)
    first, second = (emit(banded(residual_images(), config), config).program for _ in range(2))
    assert (first.image == second.image).all()
    assert first.jobs == second.jobs


def test_what_does_not_fit_in_parts_is_named() -> None:
    rule = "it needs 267 words even in parts, the activation memory has 208"
    with pytest.raises(GraphError, match=f"^second.depthwise: {rule}$"):
        banded(bottlenecks(), memory_of(208))


def test_a_transformer() -> None:
    """Attention in parts of its queries, layers in parts of their activations."""
    samples = images()
    graph = graph_of(small_vit(depth=1), samples[0])
    layers = compress_graph(graph, lambda node: INT8)
    network = by_heads(lower(graph, calibrate(graph, samples), layers, word_bytes=SMALL.word_bytes))
    found = check(network, memory_of(256))
    assert any(isinstance(step, ProductStep) and " band " in step.name for step in found.steps)
    assert any(isinstance(step, TransferStep) for step in found.steps)


@pytest.mark.parametrize("name", ["mobile", "decoder", "mixed"])
def test_networks_from_modules(name: str) -> None:
    """First layers of windows, rows that are put between each other, concatenations, means."""
    make, shape = NETWORKS[name]
    model, samples = seeded(make), samples_of(shape)
    graph = graph_of(model, samples[0])
    layers = compress_graph(graph, default_choice(graph, INT8))
    network = lower(graph, calibrate(graph, samples), layers, word_bytes=SMALL.word_bytes)
    words = words_used(network)
    found = check(network, memory_of(words * 5 // 8 // 64 * 64))
    assert any(" band 1" in step.name for step in found.steps)


def joined_rows(columns: int = 5) -> IntegerNetwork:
    """Two images, one above the other, that leave the core, and a function of them."""
    b = ImageBuilder(3)
    b.image("x", (12, columns, 3))
    b.function("act", "x")
    parts = b.convolution("upper", "act", 8), b.linear("lower", "act", 8)
    whole = b.image("both", (24, columns, 8))
    for number, name in enumerate(parts):
        target = replace(whole, token=number * 12 * columns, tokens=12 * columns)
        b.steps[number + 1] = replace(b.steps[number + 1], target=target)
        del b.tensors[name], b.sizes[name]
    b.pool("last", b.linear("next", "both", 8))
    return b.network({"x": (12, columns, 3)}, "last", "both")


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("bands", [1, 3, 8, 12])
def test_what_goes_to_dram_is_made_or_was_fetched(bands: int, first: int) -> None:
    """Of rows that several steps make, a band may make some at the start and some at the end."""
    steps = StepMap(joined_rows(), SMALL)
    segment = split(steps, first, 3, bands, ["x", "act", "both"])
    for band in range(bands):
        parts = [part for part in segment.parts if part.band == band and steps.steps[part.step].target == "both"]
        fetched = [copy for part in parts for copy in part.fills]
        for copy in (copy for part in parts for copy in part.spills):
            made = {token for part in parts for token in range(*part.made)}
            assert copy in fetched or made >= set(range(*copy.tokens))


def test_joined_rows() -> None:
    for words in (168, 144):
        check(joined_rows(), memory_of(words))


def shifted(b: ImageBuilder, name: str, source: str, first: int) -> str:
    """A copy of all activations from `first` on."""
    height, width, channels = b.sizes[source]
    scale = b.tensors[source].scale
    block = replace(b.block(source), token=first, tokens=height * width - first)
    operation = rescaled_sum(name, channels=channels, input_scale=scale, output_scale=scale)
    target = b.image(name, (block.tokens, 1, channels), scale)
    b.steps.append(VectorStep(name=name, operation=operation, sources=(block,), target=target))
    return name


def test_what_one_segment_keeps_to_itself_is_not_in_dram() -> None:
    """Even where it was to go there, before others did and steps came together."""
    b = ImageBuilder(91)
    b.image("x", (18, 1, 3))
    b.linear("s0", "x", 11)
    shifted(b, "s3", shifted(b, "s2", "s0", 1), 1)
    shifted(b, "s4", "s3", 2)
    b.linear("s5", "s3", 16)
    b.depthwise("s6", "s3", stride=2)
    shifted(b, "s7", "s5", 1)
    b.function("s8", "s6")
    network = b.network({"x": (18, 1, 3)}, "s4", "s8")
    for words in (120, 96, 80):
        check(network, memory_of(words))


def test_bands_of_padding_alone() -> None:
    """Rows of the output whose windows have no row of the image."""
    layers = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, (1, 3), stride=2, padding=(3, 1))
    model, samples = seeded(lambda: nn.Sequential(*layers)), samples_of((1, 8, 6, 6))
    graph = graph_of(model, samples[0])
    network = lower(graph, calibrate(graph, samples), compress_graph(graph, lambda node: INT8), word_bytes=8)
    expected = network.run(inputs_of(network))
    (*_, last) = network.steps
    assert isinstance(last, ImageStep)
    source = read_block(expected, last.source)
    whole = last.reference(source).reshape(-1, last.output_width, 8)
    for row in range(last.rows[1]):
        part = replace(last, rows=(row, row + 1)).reference(source)
        np.testing.assert_array_equal(part, whole[row])
    check(network, memory_of(64))


def random_network(seed: int, height: int, width: int) -> IntegerNetwork:
    """Any steps after each other, with sums of images that are alike, and a second output on the way."""
    b = ImageBuilder(seed)
    rng = np.random.default_rng(seed)
    b.image("x", (height, width, int(rng.integers(1, 20))))
    last = "x"
    for number in range(int(rng.integers(2, 9))):
        name, (rows, columns, _) = f"s{number}", b.sizes[last]
        alike = [other for other in b.sizes if b.sizes[other] == b.sizes[last] and other != last]
        kind = rng.choice(["convolution", "linear", "depthwise", "pool", "sum", "function"])
        if kind == "convolution":
            b.convolution(name, last, int(rng.integers(1, 30)), int(rng.choice([1, 3, 5])), int(rng.integers(1, 3)))
        elif kind == "linear":
            b.linear(name, last, int(rng.integers(1, 40)))
        elif kind == "depthwise":
            b.depthwise(name, last, int(rng.choice([3, 5])), int(rng.integers(1, 3)))
        elif kind == "pool" and min(rows, columns) > 1:
            b.pool(name, last)
        elif kind == "sum" and alike:
            b.sum(name, last, str(rng.choice(alike)))
        else:
            b.function(name, last)
        last = name
    outputs = {last, str(rng.choice([step.name for step in b.steps]))}
    return b.network({"x": b.sizes["x"]}, *sorted(outputs))


def refused_at(network: IntegerNetwork, config: CoreConfig) -> str | None:
    """What an error names, None when all goes well."""
    try:
        check(network, config)
    except GraphError as error:
        return error.where
    return None


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 20), height=st.integers(2, 14), width=st.integers(2, 9), share=st.floats(0.1, 0.95))
def test_any_images(seed: int, height: int, width: int, share: float) -> None:
    """Down to a memory in which nothing fits: then an error names a step or a tensor."""
    network = random_network(seed, height, width)
    config = memory_of(max(64, int(share * words_used(network)) // 64 * 64))
    where = refused_at(network, config)
    assert where is None or where.split("[")[0].split(" ")[0] in {"x", *(step.name for step in network.steps)}
