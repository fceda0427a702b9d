"""Descriptors there and back, and the sizes of weight streams."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssvq_gen.config import CODEBOOK_PAGES, PRESETS, CoreConfig, WeightFormat
from ssvq_gen.format import (
    DESCRIPTOR_BYTES,
    DESCRIPTOR_FIELDS,
    DESCRIPTOR_MAGIC,
    ErrorCode,
    FormatError,
    Opcode,
    pack_descriptor,
    unpack_descriptor,
)
from ssvq_gen.stream_format import StreamFormat


def values_of(opcode: Opcode) -> st.SearchStrategy[dict[str, int]]:
    """All fields; those that the opcode does not have are zero."""
    own = {f.name: st.integers(*f.bounds) if f.belongs_to(opcode) else st.just(0) for f in DESCRIPTOR_FIELDS}
    return st.fixed_dictionaries({**own, "opcode": st.just(int(opcode))})


descriptors = st.sampled_from(Opcode).flatmap(values_of)


@given(descriptors)
def test_descriptor_there_and_back(values: dict[str, int]) -> None:
    data = pack_descriptor(values)
    assert len(data) == DESCRIPTOR_BYTES
    assert unpack_descriptor(data) == values


def test_magic_is_filled_in_and_absent_fields_are_zero() -> None:
    values = unpack_descriptor(pack_descriptor({"opcode": 3}))
    assert values["magic"] == DESCRIPTOR_MAGIC
    assert {name for name, value in values.items() if value} == {"opcode", "magic"}


@pytest.mark.parametrize("opcode", Opcode)
def test_fields_of_an_opcode_do_not_overlap_and_stay_in_their_word(opcode: Opcode) -> None:
    own = [f for f in DESCRIPTOR_FIELDS if f.belongs_to(opcode)]
    taken = [bit for f in own for bit in range(f.offset, f.offset + f.width)]
    assert len(taken) == len(set(taken))
    assert max(taken) < 8 * DESCRIPTOR_BYTES
    assert all(f.lsb + f.width <= 32 for f in own)


def test_fields_of_another_opcode_are_no_fields() -> None:
    message = "^descriptor field operand is of PRODUCT, and must be 0 in others, not 5$"
    with pytest.raises(FormatError, match=message):
        pack_descriptor({"opcode": Opcode.MATMUL, "operand": 5})
    data = pack_descriptor({"opcode": Opcode.PRODUCT, "operand": 5})
    assert unpack_descriptor(bytes([Opcode.MATMUL]) + data[1:])["operand"] == 0


def test_field_errors() -> None:
    with pytest.raises(FormatError, match="^a descriptor has no field 'size'$"):
        pack_descriptor({"size": 1})
    with pytest.raises(FormatError, match="^descriptor field tokens must be from 0 to 65535, not 65536$"):
        pack_descriptor({"tokens": 1 << 16})
    with pytest.raises(FormatError, match="^descriptor field zero_point must be from -128 to 127, not -129$"):
        pack_descriptor({"zero_point": -129})
    with pytest.raises(FormatError, match="^a descriptor is 64 bytes, not 63$"):
        unpack_descriptor(bytes(63))


def test_every_error_code_has_a_meaning() -> None:
    assert all(code.meaning for code in ErrorCode)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codebook_size": 3}, "codebook_size must be a power of two from 2 to 256 on core 'tiny', not 3"),
        ({"codebook_size": 512}, "codebook_size must be a power of two from 2 to 256 on core 'tiny', not 512"),
        ({"vector_dim": 1}, "vector_dim must be a power of two from 2 to 8 on core 'tiny', not 1"),
        ({"vector_dim": 16}, "vector_dim must be a power of two from 2 to 8 on core 'tiny', not 16"),
    ],
)
def test_stream_rules(changes: dict[str, int], message: str) -> None:
    values: dict[str, Any] = {"codebook_size": 16, "vector_dim": 8, **changes}
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        StreamFormat(config=PRESETS["tiny"], weight_format=WeightFormat.SSVQ, **values)


def test_stream_needs_its_format_and_room_for_its_codebook() -> None:
    config = PRESETS["base"].replace(formats=(WeightFormat.SSVQ,))
    with pytest.raises(FormatError, match="^core 'base' was generated without the format vq$"):
        StreamFormat(config=config, weight_format=WeightFormat.VQ, vector_dim=8)
    with pytest.raises(FormatError, match="takes 2048 words; core 'base' has 512: raise max_codebook_size$"):
        StreamFormat(config=config, weight_format=WeightFormat.SSVQ, codebook_size=256, vector_dim=32)
    with pytest.raises(FormatError, match="^int8 weights have no codebook"):
        StreamFormat(config=PRESETS["base"], weight_format=WeightFormat.INT8, codebook_size=16)


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_stream_spends_the_bits_the_method_promises(config: CoreConfig) -> None:
    """Codebook and channel parameters aside, k=16 and d=8 take 1.5 bits a weight, and int8 takes 8."""
    tiles = 64
    weights = tiles * config.rows * config.cols
    for weight_format, size, dim, bits in (
        (WeightFormat.SSVQ, 16, 8, 1.5),
        (WeightFormat.SSVQ, 256, 8, 2.0),
        (WeightFormat.VQ, 16, 8, 0.5),
        (WeightFormat.INT8, 256, 1, 8.0),
    ):
        stream = StreamFormat(config=config, weight_format=weight_format, codebook_size=size, vector_dim=dim)
        words = stream.column_words(tiles) - stream.parameter_words
        assert words * config.stream_width == bits * weights
        assert stream.total_bytes(tiles, 3) % config.stream_alignment == 0


@pytest.mark.parametrize("lanes", [8, 16, 32])
@pytest.mark.parametrize(
    ("narrow_bias", "shared_multiplier", "width"),
    [(False, False, 48), (False, True, 32), (True, False, 32), (True, True, 16)],
)
def test_channel_parameters_are_whole_words(lanes: int, narrow_bias: bool, shared_multiplier: bool, width: int) -> None:
    """No padding in any core, and none that depends on the requantizer."""
    for requantize_lanes in (1, 32):
        config = PRESETS["base"].replace(decode_lanes=lanes, requantize_lanes=requantize_lanes)
        stream = StreamFormat(
            config=config,
            weight_format=WeightFormat.INT8,
            narrow_bias=narrow_bias,
            shared_multiplier=shared_multiplier,
        )
        assert stream.parameter_width == width
        assert stream.parameter_words * config.stream_width == width * config.cols


@pytest.mark.parametrize(("lanes", "words"), [(8, 1), (16, 2), (32, 2)])
def test_codebook_pages(lanes: int, words: int) -> None:
    """Both pages are in a lane's RAM, in words that are written in one cycle."""
    config = PRESETS["base"].replace(decode_lanes=lanes)
    assert config.codebook_depth == 2 * config.max_codebook_size
    assert config.codebook_write_words == words
    assert config.codebook_ram_depth * words == CODEBOOK_PAGES * config.codebook_depth
