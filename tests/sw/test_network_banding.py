"""Networks that do not fit are done in bands and through DRAM, and nothing changes in their integers."""

from __future__ import annotations

import numpy as np
import pytest
from core_model import CoreModel
from hypothesis import given, settings
from hypothesis import strategies as st
from image_networks import ImageBuilder

from ssvq.network.banding import banded
from ssvq.network.emission import INPUT, OUTPUT, emit, plan
from ssvq.network.errors import GraphError
from ssvq.network.integer_network import IntegerNetwork
from ssvq.program import place_input, read_output
from ssvq.reference import Int8Array
from ssvq_gen.config import PRESETS, CoreConfig

SMALL = PRESETS["tiny"].replace(name="small", accumulator_depth=16)


def memory_of(words: int, config: CoreConfig = SMALL) -> CoreConfig:
    return config.replace(name=f"of{words}", activation_bytes=words * config.word_bytes)


def inputs_of(network: IntegerNetwork) -> dict[str, Int8Array]:
    rng = np.random.default_rng(len(network.steps))
    tensors = [network.tensors[own.tensor] for own in network.inputs]
    return {own.name: rng.integers(-128, 128, (own.tokens, own.channels), dtype=np.int8) for own in tensors}


def check(whole: IntegerNetwork, config: CoreConfig) -> IntegerNetwork:
    """The banded network gives the integers of the whole one, and its program gives them on the functional model."""
    made = emit(banded(whole, config), config)
    network, program, given_inputs = made.network, made.program, inputs_of(whole)
    assert made.plan.words <= config.activation_depth
    expected, found = whole.run(given_inputs), network.run(given_inputs)
    window = program.new_memory()
    for own in network.inputs:
        place_input(window, program, given_inputs[own.tensor], job=f"{INPUT}{own.name}")
    CoreModel(config).run(window, program.descriptor_offset, program.descriptor_count)
    for name, view in network.outputs.items():
        values = view.read(expected[view.tensor])
        np.testing.assert_array_equal(view.read(found[view.tensor]), values)
        output = read_output(window, program, job=f"{OUTPUT}{name}")
        np.testing.assert_array_equal(output, values.reshape(output.shape))
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
