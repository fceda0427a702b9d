"""Programs built step by step give the reference's integers on the functional model, and every rule has its error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ssvq.builder import ActivationTensor, ProgramBuilder
from ssvq.integer_layer import CompileError, IntegerLayer
from ssvq.product import IntegerProduct
from ssvq.program import Program, ProgramError, place_input, read_output
from ssvq.reference import ActivationScale, Int8Array
from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_gen.format import Opcode, Residency
from ssvq_sim.systems.core_model import CoreModel
from ssvq_sim.systems.layers import random_input, random_layer
from ssvq_sim.systems.strategies import configs, layers_on

CONFIG = PRESETS["tiny"]
SCALE = ActivationScale(scale=0.1)


def packed(word: int, tokens: int, channels: int, config: CoreConfig = CONFIG) -> ActivationTensor:
    return ActivationTensor.packed(config, word=word, tokens=tokens, channels=channels)


def layer_of(n: int, k: int, name: str = "layer") -> IntegerLayer:
    rng = np.random.default_rng(n + k)
    return random_layer(rng, weight_format=WeightFormat.SSVQ, out_channels=n, in_channels=k, name=name)


def product_of(t: int, k: int, n: int, **changes: Any) -> IntegerProduct:
    scale = ActivationScale(scale=0.02)
    values: dict[str, Any] = {"name": "product", "transposed": True, "output_scale": SCALE, **changes}
    return IntegerProduct.from_scales(
        tokens=t, in_channels=k, out_channels=n, input_scale=scale, operand_scale=scale, **values
    )


def run(config: CoreConfig, program: Program, inputs: dict[str, Int8Array], model: CoreModel | None = None) -> Any:
    """Outputs by job name."""
    memory = program.new_memory()
    for name, x in inputs.items():
        place_input(memory, program, x, job=name)
    core = model if model is not None else CoreModel(config)
    core.run(memory, program.descriptor_offset, program.descriptor_count)
    return {job.name: read_output(memory, program, job=job.name) for job in program.jobs if job.output}


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_two_layers_on_chip(data: st.DataObject) -> None:
    config = data.draw(configs(activation_words=st.just(400)))
    first, second = data.draw(layers_on(config)), data.draw(layers_on(config))
    tokens = data.draw(st.integers(1, config.accumulator_depth))
    assume(second.in_channels <= first.out_channels)
    x, hidden = packed(0, tokens, first.in_channels, config), packed(150, tokens, first.out_channels, config)
    y = packed(20, tokens, second.out_channels, config)
    limits = x.end(config) <= 150, hidden.end(config) <= 400, y.end(config) <= 150
    assume(all(limits))
    builder = ProgramBuilder(config)
    builder.load("x", x, first.input_scale)
    builder.matmul(first, source=x, target=hidden, name="first")
    builder.matmul(second, source=hidden.select_channels(config, 0, second.in_channels), target=y, name="second")
    builder.store("y", y, second.output_scale)
    program = builder.build()
    assert [(job.name, bool(job.input), bool(job.output)) for job in program.jobs] == [
        ("x", True, False),
        ("first", False, False),
        ("second", False, False),
        ("y", False, True),
    ]
    values = random_input(np.random.default_rng(tokens), tokens, first)
    expected = second.reference(first.reference(values).output[:, : second.in_channels]).output
    np.testing.assert_array_equal(run(config, program, {"x": values})["y"], expected)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_product_on_any_core(data: st.DataObject) -> None:
    config = data.draw(configs(activation_words=st.just(1000)))
    sizes = st.integers(1, 40)
    product = product_of(
        data.draw(st.integers(1, config.accumulator_depth)),
        data.draw(sizes),
        data.draw(sizes),
        transposed=data.draw(st.booleans()),
        batch_count=data.draw(st.integers(1, 3)),
    )
    builder = ProgramBuilder(config)
    tensors, shapes = [], (product.input_shape, product.operand_shape, (*product.input_shape[:2], product.out_channels))
    word = 0
    for batches, tokens, channels in shapes:
        tensors.append(packed(word, tokens * batches, channels, config))
        word = tensors[-1].end(config)
    assume(word <= config.activation_depth)
    for name, tensor in zip(("source", "operand"), tensors[:2], strict=True):
        builder.load(name, tensor, SCALE)
    first = [tensor.select_tokens(0, shape[1]) for tensor, shape in zip(tensors, shapes, strict=True)]
    strides = [shape[1] * tensor.stride for tensor, shape in zip(tensors, shapes, strict=True)]
    builder.product(
        product,
        source=first[0],
        operand=first[1],
        target=first[2],
        source_batch_stride=strides[0],
        operand_batch_stride=strides[1],
        target_batch_stride=strides[2],
    )
    builder.store("target", tensors[2], SCALE)
    rng = np.random.default_rng(word)
    x, operand = (rng.integers(-128, 128, shape, dtype=np.int8) for shape in shapes[:2])
    inputs = {"source": x.reshape(-1, x.shape[2]), "operand": operand.reshape(-1, operand.shape[2])}
    output = run(config, builder.build(), inputs)["target"]
    np.testing.assert_array_equal(output.reshape(shapes[2]), product.reference(x, operand))


def test_attention_heads_are_words_of_a_tensor() -> None:
    """Scores of two heads, from the channels of one tensor, and their products with values joined to one again."""
    tokens, width = 6, 16
    qkv = packed(0, tokens, 3 * width)
    scores, joined = packed(100, tokens, tokens), packed(200, tokens, width)
    heads: dict[str, Any] = {"source_batch_stride": 1, "operand_batch_stride": 1}
    first = product_of(tokens, 8, tokens, name="scores", batch_count=2)
    second = product_of(tokens, tokens, 8, name="values", batch_count=2, transposed=False)
    query, key, value = (qkv.select_channels(CONFIG, part * width, part * width + 8) for part in range(3))
    builder = ProgramBuilder(CONFIG)
    builder.load("qkv", qkv, SCALE)
    builder.product(first, source=query, operand=key, target=scores, target_batch_stride=tokens, **heads)
    builder.product(
        second,
        source=scores,
        operand=value,
        target=joined.select_channels(CONFIG, 0, 8),
        source_batch_stride=tokens,
        operand_batch_stride=1,
        target_batch_stride=1,
    )
    builder.store("out", joined, SCALE)
    x = np.random.default_rng(1).integers(-128, 128, (tokens, 3 * width), dtype=np.int8)
    q, k, v = x.reshape(tokens, 3, 2, 8).transpose(1, 2, 0, 3)
    expected = second.reference(first.reference(q, k), v).transpose(1, 0, 2).reshape(tokens, width)
    np.testing.assert_array_equal(run(CONFIG, builder.build(), {"qkv": x})["out"], expected)


def test_tensor_with_gaps_is_moved_token_by_token() -> None:
    wide = packed(0, 5, 24)
    builder = ProgramBuilder(CONFIG)
    builder.load("x", wide, SCALE)
    builder.store("part", wide.select_channels(CONFIG, 8, 20).select_tokens(1, 4), SCALE)
    program = builder.build()
    assert [d["dram_bytes"] for d in program.descriptors()] == [120, 16, 16, 16]
    x = np.random.default_rng(0).integers(-128, 128, (5, 24), dtype=np.int8)
    np.testing.assert_array_equal(run(CONFIG, program, {"x": x})["part"], x[1:4, 8:20])


def test_activations_stay_between_programs() -> None:
    layer, model = layer_of(20, 12), CoreModel(CONFIG)
    x, y = packed(0, 7, 12), packed(50, 7, 20)
    first, second = ProgramBuilder(CONFIG), ProgramBuilder(CONFIG)
    first.load("x", x, layer.input_scale)
    second.matmul(layer, source=x, target=y)
    second.store("layer", y, layer.output_scale)
    values = random_input(np.random.default_rng(0), 7, layer)
    assert run(CONFIG, first.build(), {"x": values}, model) == {}
    output = run(CONFIG, second.build(), {}, model)["layer"]
    np.testing.assert_array_equal(output, layer.reference(values).output)


def test_weights_stay_in_the_cache() -> None:
    layer, model = layer_of(20, 12), CoreModel(CONFIG)
    x, y = packed(0, 7, 12), packed(50, 7, 20)
    programs = []
    for residency in (Residency.KEEP, Residency.REUSE):
        builder = ProgramBuilder(CONFIG)
        builder.load("x", x, layer.input_scale)
        builder.matmul(layer, source=x, target=y, residency=residency, cache_offset=128)
        builder.store("y", y, layer.output_scale)
        programs.append(builder.build())
    kept, reused = (program.descriptor(1) for program in programs)
    assert reused["dram_bytes"] == kept["dram_bytes"]
    assert reused["dram_offset"] == 0
    assert programs[1].image.size < programs[0].image.size
    values = random_input(np.random.default_rng(0), 7, layer)
    for program in programs:
        output = run(CONFIG, program, {"x": values}, model)["y"]
        np.testing.assert_array_equal(output, layer.reference(values).output)


def test_calls_share_a_stream_and_a_job() -> None:
    layer, x, y = layer_of(8, 8), packed(0, 6, 8), packed(50, 6, 8)
    builder = ProgramBuilder(CONFIG)
    for start in (0, 3):
        part = x.select_tokens(start, start + 3), y.select_tokens(start, start + 3)
        builder.load("layer", part[0], SCALE, at=(start, 0))
        builder.matmul(layer, source=part[0], target=part[1])
        builder.store("layer", part[1], SCALE, at=(start, 0))
    program = builder.build()
    (job,) = program.jobs
    assert job.input is not None
    assert (job.input.tokens, len(job.input.pieces), job.descriptor_count) == (6, 2, 6)
    assert len({d["dram_offset"] for d in program.descriptors() if d["opcode"] == Opcode.MATMUL}) == 1
    x_values = random_input(np.random.default_rng(0), 6, layer)
    output = run(CONFIG, program, {"layer": x_values})["layer"]
    np.testing.assert_array_equal(output, layer.reference(x_values).output)


X, Y = packed(0, 7, 16), packed(50, 7, 16)


@pytest.mark.parametrize(
    ("source", "target", "rule"),
    [
        (packed(0, 7, 15), Y, "source must be 7 tokens of 16 channels, not 7 of 15"),
        (X, packed(50, 6, 16), "target must be 7 tokens of 16 channels, not 6 of 16"),
        (packed(0, 65, 16), packed(200, 65, 16), "tokens must be at most the core's accumulator_depth 64, not 65"),
        (X, packed(2040, 7, 16), "it reaches word 2053, the activation memory has 2048"),
        (packed(2047, 7, 16), Y, "it reaches word 2060, the activation memory has 2048"),
        (X, packed(13, 7, 16), "its target overlaps what it reads"),
        (ActivationTensor(word=0, tokens=7, channels=16, stride=1), Y, "source has a stride of 1 words, its tokens"),
        (
            X,
            ActivationTensor(word=50, tokens=7, channels=16, stride=1),
            "target has a stride of 1 words, its tokens",
        ),
        (X, ActivationTensor(word=-1, tokens=7, channels=16, stride=2), "destination must be from 0 to"),
    ],
)
def test_matmul_that_cannot_be(source: ActivationTensor, target: ActivationTensor, rule: str) -> None:
    builder = ProgramBuilder(CONFIG)
    with pytest.raises(CompileError, match=f"layer 'layer': .*{rule}"):
        builder.matmul(layer_of(16, 16), source=source, target=target)
    with pytest.raises(CompileError, match="a program needs at least one descriptor"):
        builder.build()


def test_weights_that_cannot_be() -> None:
    builder, layer = ProgramBuilder(CONFIG), layer_of(16, 16)
    for offset in (32, 4096 - 64):
        with pytest.raises(CompileError, match=f"{offset} are not aligned or not within the weight cache of 4096"):
            builder.matmul(layer, source=X, target=Y, residency=Residency.KEEP, cache_offset=offset)
    other = ProgramBuilder(CONFIG.replace(formats=(WeightFormat.INT8,)))
    with pytest.raises(CompileError, match="layer 'layer': core 'tiny' was generated without the format ssvq"):
        other.matmul(layer, source=X, target=Y)


def test_products_that_cannot_be() -> None:
    product = product_of(7, 16, 7)
    tensors: dict[str, Any] = {"source": X, "operand": packed(50, 7, 16), "target": packed(100, 7, 7)}
    with pytest.raises(CompileError, match="layer 'product': core 'tiny' was generated without products"):
        ProgramBuilder(CONFIG.replace(attention=False)).product(product, **tensors)
    builder = ProgramBuilder(CONFIG)
    with pytest.raises(CompileError, match="operand must be 7 tokens of 16 channels, not 16 of 7"):
        builder.product(product, **{**tensors, "operand": packed(50, 16, 7)})
    with pytest.raises(CompileError, match="its target overlaps what it reads"):
        builder.product(product, **{**tensors, "target": packed(63, 7, 7)})
    with pytest.raises(CompileError, match="it reaches word 3106"):
        builder.product(
            product_of(7, 16, 7, batch_count=2), **tensors, source_batch_stride=14, target_batch_stride=3000
        )


def test_transfers_that_cannot_be() -> None:
    builder = ProgramBuilder(CONFIG)
    with pytest.raises(CompileError, match="layer 'x': it reaches word 2053, the activation memory has 2048"):
        builder.load("x", packed(2040, 7, 16), SCALE)
    builder.load("x", X, SCALE)
    builder.store("y", X, SCALE)
    with pytest.raises(CompileError, match="layer 'x': a job of this name ended earlier: give this one another name"):
        builder.load("x", X, SCALE)
    assert builder.build().descriptor_count == 2


def test_parts_that_are_no_tensor() -> None:
    builder = ProgramBuilder(CONFIG)
    builder.load("x", X, SCALE)
    builder.load("x", Y, SCALE, at=(8, 0))
    with pytest.raises(ProgramError, match="input of job 'x': its pieces do not cover 15 x 16 exactly once"):
        builder.build()
    other = ProgramBuilder(CONFIG)
    other.load("x", X, SCALE)
    other.load("x", Y, ActivationScale(scale=1.0), at=(7, 0))
    with pytest.raises(CompileError, match="layer 'x': the parts of its tensor have 2 scales"):
        other.build()


def test_tensor_views() -> None:
    tensor = packed(10, 7, 20)
    assert (tensor.stride, tensor.end(CONFIG)) == (3, 31)
    assert tensor.select_tokens(2, 5) == ActivationTensor(word=16, tokens=3, channels=20, stride=3)
    assert tensor.select_channels(CONFIG, 8, 13) == ActivationTensor(word=11, tokens=7, channels=5, stride=3)
    with pytest.raises(ValueError, match="tokens 5 to 8 are not within 7"):
        tensor.select_tokens(5, 8)
    with pytest.raises(ValueError, match="channels 0 to 21 are not within 20"):
        tensor.select_channels(CONFIG, 0, 21)
    with pytest.raises(ValueError, match="channels must begin with a word of 8, not with channel 4"):
        tensor.select_channels(CONFIG, 4, 8)
