"""The weight stream: packing against the independent inverse, and against a stream written out by hand."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssvq.weight_stream import pack_stream, parameter_fields, stream_format_of, tile_counts, unpack_stream
from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_gen.format import FormatError
from ssvq_gen.stream_format import StreamFormat
from ssvq_sim.systems.layers import random_layer
from ssvq_sim.systems.strategies import configs, layers_on


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_round_trip(data: st.DataObject) -> None:
    config = data.draw(configs())
    layer = data.draw(layers_on(config))
    stream_format = stream_format_of(layer, config)
    k_tiles, n_tiles = tile_counts(layer, config)
    stream = pack_stream(layer, stream_format)
    assert len(stream) == stream_format.total_bytes(k_tiles, n_tiles)
    fields = parameter_fields(layer)
    shared = {name: fields[name] for name in ("bias_shift", "mantissa", "exponent")}
    unpacked = unpack_stream(stream, stream_format, k_tiles=k_tiles, n_tiles=n_tiles, **shared)
    n, k = layer.weight.shape
    assert unpacked.weight.shape == (n_tiles * config.cols, k_tiles * config.rows)
    np.testing.assert_array_equal(unpacked.weight[:n, :k], layer.weight)
    for name in ("bias", "mantissa", "exponent"):
        values = getattr(unpacked, name)
        np.testing.assert_array_equal(values[:n], getattr(layer, name))
        padding = fields[name] if layer.shared_multiplier and name != "bias" else 0
        assert (values[n:] == padding).all()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("weight_format", "codebook_size", "vector_dim"),
    [
        (WeightFormat.SSVQ, 16, 8),
        (WeightFormat.SSVQ, 256, 8),
        (WeightFormat.VQ, 256, 8),
        (WeightFormat.SSVQ, 256, 2),
        (WeightFormat.INT8, 256, 1),
    ],
)
def test_presets(preset: str, weight_format: WeightFormat, codebook_size: int, vector_dim: int) -> None:
    config = PRESETS[preset]
    layer = random_layer(
        np.random.default_rng(1),
        weight_format=weight_format,
        out_channels=100,
        in_channels=75,
        codebook_size=codebook_size,
        vector_dim=vector_dim,
    )
    stream_format = stream_format_of(layer, config)
    k_tiles, n_tiles = tile_counts(layer, config)
    unpacked = unpack_stream(pack_stream(layer, stream_format), stream_format, k_tiles=k_tiles, n_tiles=n_tiles)
    np.testing.assert_array_equal(unpacked.weight[:100, :75], layer.weight)


def test_stream_written_by_hand() -> None:
    """rows 4, cols 8, all lanes: a stream word is 32 bits, a group of vector_dim 4 is four steps = four tiles."""
    config = CoreConfig(
        rows=4, cols=8, axi_data_width=32, activation_bytes=1024, decode_lanes=8, requantize_lanes=2, name="hand"
    )
    layer = random_layer(
        np.random.default_rng(0),
        weight_format=WeightFormat.SSVQ,
        out_channels=1,
        in_channels=4,
        codebook_size=2,
        vector_dim=4,
    )
    layer = replace(
        layer,
        codebook=np.array([[1, 2, 3, 4], [5, 6, 7, 8]], dtype=np.int8),
        indices=np.array([[1]]),
        signs=np.array([[False, True, False, False]]),
        weight=np.array([[5, -6, 7, 8]], dtype=np.int8),
        bias=np.array([-2]),
        mantissa=np.array([0xABC]),
        exponent=np.array([0xD]),
    )
    codebook = [0x04030201, 0x08070605]
    weights = [0x1]  # the group's only index plane: subvector 0 is column 0
    weights += [1 << 8]  # the sign word of its only step: row 1, column 0
    wide = [0xFFFFFFFE, 0x0000DABC, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]  # channel 0 in 48 bits, the other seven are padding
    shared = [0xFFFFFFFE, 0, 0, 0, 0, 0, 0, 0]
    narrow = [0xDABCFFFF, 0, 0, 0, 0, 0, 0, 0]  # -1 << 1
    for bias_shift, shared_multiplier, parameters in (
        (None, False, wide),
        (None, True, shared),
        (1, False, narrow),
        (1, True, [0x0000FFFF, 0, 0, 0]),
    ):
        chosen = replace(layer, bias_shift=bias_shift, shared_multiplier=shared_multiplier)
        expected = b"".join(w.to_bytes(4, "little") for w in codebook + parameters + weights)
        assert pack_stream(chosen, stream_format_of(chosen, config)) == expected


def test_records_of_a_column_have_no_gaps() -> None:
    """Channel i of a column is at bit `parameter_width * i`, whatever the requantizer's lanes."""
    config = PRESETS["tiny"].replace(cols=16, decode_lanes=8, requantize_lanes=4)
    rng = np.random.default_rng(0)
    layer = random_layer(rng, weight_format=WeightFormat.INT8, out_channels=20, in_channels=8, bias_shift=3)
    f = stream_format_of(layer, config)
    image = pack_stream(layer, f)
    for column in range(2):
        first = column * f.column_words(1) * config.stream_bytes
        records = np.frombuffer(image[first : first + f.parameter_words * config.stream_bytes], dtype="<u2")
        channels = range(16 * column, min(16 * column + 16, 20))
        assert [int(v) for v in records[0::2].view("<i2")[: len(channels)]] == [
            int(layer.bias[n]) >> 3 for n in channels
        ]
        multipliers = [int(layer.mantissa[n]) | int(layer.exponent[n]) << 12 for n in channels]
        assert records[1::2][: len(channels)].tolist() == multipliers
        assert not records[2 * len(channels) :].any()
        assert len(records) == 2 * 16


def test_index_planes_start_with_the_most_significant_bit() -> None:
    config = PRESETS["tiny"]
    layer = random_layer(
        np.random.default_rng(0), weight_format=WeightFormat.VQ, out_channels=1, in_channels=8, codebook_size=4
    )
    layer = replace(layer, indices=np.array([[2]]))
    f = stream_format_of(layer, config)
    stream = pack_stream(layer, f)
    first = (f.codebook_stream_words + f.parameter_words) * config.stream_bytes
    planes = np.frombuffer(stream, dtype=np.uint8)[first:].reshape(2, config.stream_bytes)
    assert planes[0, 0] == 1
    assert planes[1, 0] == 0


def test_int8_planes_are_twos_complement() -> None:
    config = PRESETS["tiny"]
    layer = random_layer(np.random.default_rng(0), weight_format=WeightFormat.INT8, out_channels=2, in_channels=1)
    layer = replace(layer, weight=np.array([[-128], [127]], dtype=np.int8))
    f = stream_format_of(layer, config)
    stream = np.frombuffer(pack_stream(layer, f), dtype=np.uint8)
    planes = stream[f.parameter_words * config.stream_bytes :].reshape(-1, config.stream_bytes)[:8]
    assert planes[0, 0] == 0b01
    assert (planes[1:, 0] == 0b10).all()


def test_codeword_of_two_fills_its_word_twice() -> None:
    layer = random_layer(
        np.random.default_rng(0),
        weight_format=WeightFormat.VQ,
        out_channels=1,
        in_channels=2,
        codebook_size=2,
        vector_dim=2,
    )
    layer = replace(layer, codebook=np.array([[1, -1], [2, -2]], dtype=np.int8))
    stream = pack_stream(layer, stream_format_of(layer, PRESETS["tiny"]))
    assert stream[:8] == bytes([1, 255, 1, 255, 2, 254, 2, 254])


def test_long_codewords_are_stored_slice_by_slice() -> None:
    layer = random_layer(
        np.random.default_rng(0),
        weight_format=WeightFormat.VQ,
        out_channels=1,
        in_channels=8,
        codebook_size=2,
        vector_dim=8,
    )
    layer = replace(layer, codebook=np.arange(16, dtype=np.int8).reshape(2, 8))
    stream = pack_stream(layer, stream_format_of(layer, PRESETS["tiny"]))
    assert list(stream[:16]) == [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15]


def test_packing_is_fast() -> None:
    layer = random_layer(np.random.default_rng(0), weight_format=WeightFormat.SSVQ, out_channels=1536, in_channels=384)
    start = time.process_time()
    pack_stream(layer, stream_format_of(layer, PRESETS["base"]))
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_format": WeightFormat.VQ}, "layer 'layer' is VQ, the stream SSVQ"),
        ({"vector_dim": 4}, "has a codebook of 16 x 4, the stream 16 x 8"),
        ({"signs": None}, "layer 'layer' is SSVQ and has no signs"),
        ({"bias_shift": 9}, "layer 'layer' has channel parameters of other widths than the stream"),
        ({"shared_multiplier": True}, "layer 'layer' has channel parameters of other widths than the stream"),
    ],
)
def test_layer_of_another_format(change: dict[str, object], message: str) -> None:
    layer = random_layer(np.random.default_rng(0), weight_format=WeightFormat.SSVQ, out_channels=4, in_channels=8)
    uniform = np.ones(4, dtype=np.int64)
    layer = replace(layer, bias=layer.bias >> 9 << 9, mantissa=uniform, exponent=uniform)
    stream_format = stream_format_of(layer, PRESETS["tiny"])
    with pytest.raises(FormatError, match=message):
        pack_stream(replace(layer, **change), stream_format)  # type: ignore[arg-type]


def test_unpack_checks_the_length() -> None:
    stream_format = StreamFormat(config=PRESETS["tiny"], weight_format=WeightFormat.INT8)
    with pytest.raises(FormatError, match="a stream of 1 x 1 tiles is 112 bytes, not 3"):
        unpack_stream(b"abc", stream_format, k_tiles=1, n_tiles=1)
