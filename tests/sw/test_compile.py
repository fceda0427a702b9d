"""Compiled programs, executed by the functional model, give the reference's integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ssvq.builder import ActivationTensor, ProgramBuilder
from ssvq.compile import CompileError, choose_tiling, compile_layer, compile_layers
from ssvq.integer_layer import IntegerLayer
from ssvq.product import IntegerProduct
from ssvq.program import Program, ProgramError, place_input, read_output
from ssvq.reference import ActivationScale
from ssvq.roofline import roofline_cycles, rooflines
from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_gen.format import DRAM_ALIGNMENT, Opcode, Residency
from ssvq_sim.systems.core_model import CoreModel
from ssvq_sim.systems.layers import random_input, random_layer
from ssvq_sim.systems.strategies import configs, layers_on


def run_on_model(config: CoreConfig, program: Program, layers: list[tuple[IntegerLayer, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    memory = program.new_memory()
    inputs = [random_input(rng, tokens, layer) for layer, tokens in layers]
    for x, (layer, _) in zip(inputs, layers, strict=True):
        place_input(memory, program, x, job=layer.name)
    CoreModel(config).run(memory, program.descriptor_offset, program.descriptor_count)
    for x, (layer, _) in zip(inputs, layers, strict=True):
        np.testing.assert_array_equal(read_output(memory, program, job=layer.name), layer.reference(x).output)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_layer_on_any_core(data: st.DataObject) -> None:
    config = data.draw(configs(activation_words=st.integers(16, 200)))
    layer = data.draw(layers_on(config))
    tokens = data.draw(st.integers(1, 40))
    assume(-(-layer.in_channels // config.word_bytes) < config.activation_depth)
    run_on_model(config, compile_layer(config, layer, tokens), [(layer, tokens)], seed=tokens)


@pytest.mark.parametrize("preset", PRESETS)
def test_several_layers_in_one_program(preset: str) -> None:
    config = PRESETS[preset]
    rng = np.random.default_rng(3)
    layers = [
        (random_layer(rng, weight_format=f, out_channels=n, in_channels=k, name=f"{f.name}{n}", **codes), tokens)
        for f, n, k, tokens, codes in (
            (WeightFormat.SSVQ, 130, 70, 9, {"codebook_size": 256}),
            (WeightFormat.INT8, 33, 129, 300, {"codebook_size": 256, "vector_dim": 1}),
            (WeightFormat.VQ, 64, 64, 1, {"vector_dim": 4}),
        )
    ]
    run_on_model(config, compile_layers(config, layers), layers, seed=1)


def opcodes(program: Program) -> list[Opcode]:
    return [Opcode(d["opcode"]) for d in program.descriptors()]


def layer_of(n: int, k: int) -> IntegerLayer:
    return random_layer(np.random.default_rng(0), weight_format=WeightFormat.SSVQ, out_channels=n, in_channels=k)


def test_layer_that_fits_is_one_matmul() -> None:
    program = compile_layer(PRESETS["base"], layer_of(1536, 384), 128)
    assert opcodes(program) == [Opcode.LOAD, Opcode.MATMUL, Opcode.STORE]


def test_output_that_does_not_fit_is_split_over_channels() -> None:
    config = PRESETS["base"].replace(activation_bytes=128 * 32 * 20)
    layer = layer_of(1000, 384)
    program = compile_layer(config, layer, 128)
    assert opcodes(program) == [Opcode.LOAD] + [Opcode.MATMUL, Opcode.STORE] * 4
    matmuls = [d for d in program.descriptors() if d["opcode"] == Opcode.MATMUL]
    assert len({d["dram_offset"] for d in matmuls}) == 4
    run_on_model(config, program, [(layer, 128)], seed=0)


def test_token_chunks_share_the_weight_stream() -> None:
    config = PRESETS["base"].replace(weight_cache_bytes=0)
    layer = layer_of(64, 64)
    program = compile_layer(config, layer, 600)
    matmuls = [d for d in program.descriptors() if d["opcode"] == Opcode.MATMUL]
    assert [d["tokens"] for d in matmuls] == [200, 200, 200]
    assert len({d["dram_offset"] for d in matmuls}) == 1
    run_on_model(config, program, [(layer, 600)], seed=0)


def test_token_chunks_take_their_weights_from_the_cache() -> None:
    config, layer = PRESETS["base"], layer_of(64, 64)
    program = compile_layer(config, layer, 600)
    matmuls = [d for d in program.descriptors() if d["opcode"] == Opcode.MATMUL]
    assert [d["residency"] for d in matmuls] == [Residency.KEEP, Residency.REUSE, Residency.REUSE]
    assert len({d["cache_offset"] for d in matmuls}) == 1
    run_on_model(config, program, [(layer, 600)], seed=0)


def test_chunks_are_double_buffered_where_they_fit() -> None:
    config, layer = PRESETS["tiny"], layer_of(24, 16)
    tiling = choose_tiling(config, layer, 256)
    assert (tiling.chunk_count, tiling.input_buffers, tiling.output_buffers) == (4, 2, 2)
    program = compile_layer(config, layer, 256)
    load, matmul, store = Opcode.LOAD, Opcode.MATMUL, Opcode.STORE
    steady = [load, store, matmul]
    assert opcodes(program) == [load, matmul, load, matmul, *steady, *steady, store, store]
    opens = [(d["loads_open"], d["matmuls_open"], d["stores_open"]) for d in program.descriptors()]
    # LOAD 2 and STORE 0 leave MATMUL 1 running; MATMUL 2 needs what LOAD 2 loads and the words that STORE 0 reads.
    assert opens[4:7] == [(1, 1, 15), (15, 1, 15), (0, 1, 0)]
    run_on_model(config, program, [(layer, 256)], seed=0)


def test_memory_that_one_pair_of_buffers_fills() -> None:
    """Tokens are not split more for the sake of a second buffer."""
    config, layer = PRESETS["tiny"].replace(activation_bytes=8 * 5 * 64), layer_of(24, 16)
    tiling = choose_tiling(config, layer, 256)
    assert (tiling.chunk_count, tiling.input_buffers, tiling.output_buffers, tiling.words) == (4, 1, 1, 320)
    assert opcodes(compile_layer(config, layer, 128)) == [Opcode.LOAD, Opcode.MATMUL, Opcode.STORE] * 2
    one_more = config.replace(activation_bytes=8 * 7 * 64)
    assert choose_tiling(one_more, layer, 256).input_buffers == 2
    run_on_model(one_more, compile_layer(one_more, layer, 256), [(layer, 256)], seed=0)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_steps_are_complete_and_buffers_disjoint(data: st.DataObject) -> None:
    config = data.draw(configs(activation_words=st.integers(16, 400)))
    layer = data.draw(layers_on(config))
    tokens = data.draw(st.integers(1, 300))
    assume(-(-layer.in_channels // config.word_bytes) < config.activation_depth)
    tiling = choose_tiling(config, layer, tokens)
    assert tiling.words <= config.activation_depth
    steps = list(tiling.steps())
    parts = [(chunk, part) for chunk in range(tiling.chunk_count) for part in range(tiling.matmul_count)]
    for kind in ("matmul", "store"):
        assert [(chunk, part) for step, chunk, part in steps if step == kind] == parts
    assert [chunk for step, chunk, _ in steps if step == "load"] == list(range(tiling.chunk_count))
    assert len(steps) == tiling.descriptor_count
    spans = [(tiling.input_word(chunk), tiling.input_words) for chunk in range(tiling.input_buffers)]
    spans += [(tiling.output_word(buffer), tiling.chunk_words) for buffer in range(tiling.output_buffers)]
    ends = [first + words * tiling.chunk_tokens for first, words in spans]
    assert [first for first, _ in spans[1:]] + [tiling.words] == ends


def test_neighbours_do_not_wait_for_each_other() -> None:
    """The second layer's LOAD does not wait for the first one's STORE, whose words are at the memory's other end."""
    rng = np.random.default_rng(0)
    layers = [
        (random_layer(rng, weight_format=WeightFormat.SSVQ, out_channels=64, in_channels=64, name=name), 20)
        for name in ("first", "second")
    ]
    program = compile_layers(PRESETS["base"], layers)
    assert opcodes(program) == [Opcode.LOAD, Opcode.MATMUL, Opcode.STORE] * 2
    assert [program.descriptor(3)[name] for name in ("loads_open", "matmuls_open", "stores_open")] == [15, 15, 15]


@pytest.mark.parametrize("preset", PRESETS)
def test_everything_is_aligned_and_inside(preset: str) -> None:
    config = PRESETS[preset]
    program = compile_layer(config, layer_of(100, 50), 7)
    for d in program.descriptors():
        assert d["dram_offset"] % DRAM_ALIGNMENT == 0
        assert d["dram_offset"] + d["dram_bytes"] <= program.memory_bytes
    assert program.config_digest == config.digest


def test_ragged_reduction() -> None:
    d = compile_layer(PRESETS["base"], layer_of(5, 70), 3).descriptor(1)
    assert (d["k_tiles"], d["n_tiles"], d["last_rows"], d["input_stride"], d["output_stride"]) == (3, 1, 6, 3, 1)


def test_tiling_uses_the_memory_and_no_more() -> None:
    config = PRESETS["tiny"].replace(activation_bytes=8 * 100)
    tiling = choose_tiling(config, layer_of(64, 64), 30)
    assert (tiling.input_words, tiling.output_words) == (8, 8)
    assert (tiling.chunk_tokens, tiling.chunk_words) == (10, 2)


def test_one_token_that_does_not_fit() -> None:
    config = PRESETS["tiny"].replace(activation_bytes=8 * 16)
    message = "layer 'layer': one token's 128 input channels and a word of output take 17 words; .* has 16"
    with pytest.raises(CompileError, match=message) as caught:
        compile_layer(config, layer_of(8, 128), 1)
    assert caught.value.layer == "layer"


def test_format_that_the_core_lacks() -> None:
    config = PRESETS["tiny"].replace(formats=(WeightFormat.INT8,))
    with pytest.raises(CompileError, match="layer 'layer': core 'tiny' was generated without the format ssvq"):
        compile_layer(config, layer_of(8, 8), 1)


def test_codebook_that_the_core_cannot_hold() -> None:
    config = PRESETS["tiny"].replace(max_codebook_size=8)
    with pytest.raises(CompileError, match="layer 'layer': codebook_size must be a power of two from 2 to 8"):
        compile_layer(config, layer_of(8, 8), 1)


def test_wrong_requests() -> None:
    config, layer = PRESETS["tiny"], layer_of(8, 8)
    with pytest.raises(CompileError, match="tokens must be at least 1, not 0"):
        compile_layer(config, layer, 0)
    with pytest.raises(CompileError, match="a program needs at least one layer"):
        compile_layers(config, [])
    with pytest.raises(CompileError, match="two layers of a program have the same name"):
        compile_layers(config, [(layer, 1), (layer, 2)])
    with pytest.raises(CompileError, match="descriptors, beyond 65535"):
        compile_layer(config, layer, 1 << 21)


def test_roofline() -> None:
    config = PRESETS["base"]
    layer = layer_of(384, 384)
    program = compile_layer(config, layer, 100)
    stream = program.descriptor(1)["dram_bytes"]
    (line,) = rooflines(config, program, 8)
    assert line.compute_cycles == 100 * 12 * 12
    assert line.weight_bytes == stream
    assert line.transfer_bytes == 2 * 100 * 384
    assert roofline_cycles(config, program, 8) == 100 * 144 + 9600
    assert roofline_cycles(config, program, 1) == stream + 76800


def test_roofline_counts_a_stream_once() -> None:
    config = PRESETS["base"]
    program = compile_layer(config, layer_of(32, 32), 600)
    (line,) = rooflines(config, program, 8)
    assert line.compute_cycles == 600
    assert line.weight_bytes == program.descriptor(1)["dram_bytes"]


def test_roofline_of_products_and_cached_weights() -> None:
    config, layer = PRESETS["tiny"], layer_of(24, 16)
    x = ActivationTensor.packed(config, word=0, tokens=10, channels=16)
    y = ActivationTensor.packed(config, word=100, tokens=10, channels=24)
    scores = ActivationTensor.packed(config, word=200, tokens=10, channels=10)
    scale = ActivationScale(scale=1.0)
    product = IntegerProduct.from_scales(
        name="scores",
        tokens=10,
        in_channels=8,
        out_channels=10,
        batch_count=3,
        transposed=True,
        input_scale=scale,
        operand_scale=scale,
        output_scale=scale,
    )
    head = y.select_channels(config, 0, 8)
    builder = ProgramBuilder(config)
    builder.matmul(layer, source=x, target=y, residency=Residency.KEEP, name="kept")
    builder.matmul(layer, source=x, target=y, residency=Residency.REUSE, name="reused")
    builder.product(product, source=head, operand=head, target=scores, target_batch_stride=20)
    program = builder.build()
    lines = {line.name: line for line in rooflines(config, program, 4)}
    assert lines["kept"].weight_bytes == program.descriptor(0)["dram_bytes"]
    assert [lines[name].compute_cycles for name in ("kept", "reused", "scores")] == [60, 60, 60]
    assert [lines[name].weight_bytes for name in ("reused", "scores")] == [0, 0]
    assert sum(line.transfer_bytes for line in lines.values()) == 0


def test_roofline_checks_its_arguments() -> None:
    config = PRESETS["base"]
    program = compile_layer(config, layer_of(32, 32), 1)
    with pytest.raises(ProgramError, match="bytes_per_cycle must be above 0 and at most 8, not 16"):
        roofline_cycles(config, program, 16)
    with pytest.raises(ProgramError, match="not compiled for the configuration 'tiny'"):
        roofline_cycles(PRESETS["tiny"], program, 1)
