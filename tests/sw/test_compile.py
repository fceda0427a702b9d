"""Compiled programs, executed by the functional model, give the reference's integers."""

from __future__ import annotations

import numpy as np
import pytest
from core_model import CoreModel
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layers import configs, layers_on, random_input, random_layer

from ssvq.compile import CompileError, choose_tiling, compile_layer, compile_layers
from ssvq.integer_layer import IntegerLayer
from ssvq.program import Program, ProgramError, place_input, read_output
from ssvq.roofline import roofline_cycles, rooflines
from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_gen.format import DRAM_ALIGNMENT, Opcode


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
    config = PRESETS["base"]
    layer = layer_of(64, 64)
    program = compile_layer(config, layer, 600)
    matmuls = [d for d in program.descriptors() if d["opcode"] == Opcode.MATMUL]
    assert [d["tokens"] for d in matmuls] == [200, 200, 200]
    assert len({d["dram_offset"] for d in matmuls}) == 1
    run_on_model(config, program, [(layer, 600)], seed=0)


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


def test_roofline_checks_its_arguments() -> None:
    config = PRESETS["base"]
    program = compile_layer(config, layer_of(32, 32), 1)
    with pytest.raises(ProgramError, match="bytes_per_cycle must be above 0 and at most 8, not 16"):
        roofline_cycles(config, program, 16)
    with pytest.raises(ProgramError, match="not compiled for the configuration 'tiny'"):
        roofline_cycles(PRESETS["tiny"], program, 1)
