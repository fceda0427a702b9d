"""A named error for every damaged or malicious container, and for what is no file."""

from __future__ import annotations

import json
import os
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from container_files import Header, coded, described, equal, example, join, refusal, saved, split, weights
from hypothesis import HealthCheck, given, settings

from ssvq.container import ContainerError, load, save
from ssvq.quantize import (
    WeightFormat,
    encode,
)


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return saved(tmp_path_factory.mktemp("container"), example())


def test_a_file_that_is_missing_or_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ContainerError, match="file: must be a regular file"):
            load(path)


# Each of these changes the header of a valid file: the function, the part at fault and the problem.
HEADER_CHANGES: list[tuple[Callable[[Header], object], str, str]] = [
    (lambda h: h.pop("up.weight_int8"), "up.weight_int8", "is missing"),
    (lambda h: h.update(extra=h["conv.indices"]), "extra", "must belong to a layer of the metadata"),
    (lambda h: h.update({"dense.bias": h["block.fc1.bias"]}), "dense.bias", "must belong to a layer of the metadata"),
    (lambda h: h["conv.codebook"].update(dtype="U8"), "conv.codebook", "dtype must be I8, not 'U8'"),
    (lambda h: h["conv.codebook"].update(dtype=["I8"]), "conv.codebook", "dtype must be I8, not ['I8']"),
    (lambda h: h["conv.codebook"].update(shape=[3, 16]), "conv.codebook", "shape must be [16, 3], not [3, 16]"),
    (lambda h: h["conv.codebook"].update(shape=[16.0, 3]), "conv.codebook", "shape must be [16, 3], not [16.0, 3]"),
    (lambda h: h["conv.codebook"].update(shape=[2**62, 3]), "conv.codebook", "shape must be [16, 3], not [46116"),
    (lambda h: h["conv.codebook"].update(more=1), "conv.codebook", "must have exactly a dtype, a shape and data_off"),
    (lambda h: h.update({"conv.codebook": 3}), "conv.codebook", "must have exactly a dtype, a shape and data_offsets"),
    (lambda h: h["dense.scale"].update(data_offsets=[0, 4]), "dense.scale", "data_offsets must be ["),
    (lambda h: h["conv.scale"].update(data_offsets=[2**60, 2**60 + 24]), "conv.scale", "data_offsets must be ["),
    (lambda h: h["conv.scale"].update(data_offsets=[-24, 0]), "conv.scale", "data_offsets must be ["),
    (lambda h: h["conv.scale"].update(data_offsets=None), "conv.scale", "data_offsets must be ["),
    (lambda h: h.pop("__metadata__"), "metadata", "must have the one entry 'ssvq'"),
    (lambda h: h.update(__metadata__=[]), "metadata", "must have the one entry 'ssvq'"),
    (lambda h: h["__metadata__"].update(more=""), "metadata", "must have the one entry 'ssvq'"),
    (lambda h: h.update(__metadata__={"ssvq": 5}), "metadata", "must have the one entry 'ssvq'"),
    (lambda h: h.update(__metadata__={"ssvq": "["}), "metadata", "must be JSON: "),
    (lambda h: h.update(__metadata__={"ssvq": "[" * 100_000}), "metadata", "must be JSON: "),
    (lambda h: h.update(__metadata__={"ssvq": "[]"}), "metadata", "must be a JSON object"),
    (lambda h: h.update(__metadata__={"ssvq": '{"version": NaN}'}), "metadata", "must be JSON: NaN is not JSON"),
    (lambda h: h.update(__metadata__={"ssvq": "9" * 5000}), "metadata", "must be JSON: "),
    (lambda h: h.update(__metadata__={"ssvq": '{"a":1,"a":2}'}), "a", "must not occur twice in the metadata"),
]


@pytest.mark.parametrize(("change", "part", "problem"), HEADER_CHANGES)
def test_wrong_header(
    tmp_path: Path, valid: bytes, change: Callable[[Header], object], part: str, problem: str
) -> None:
    header, content = split(valid)
    change(header)
    error = refusal(tmp_path / "file", join(header, content))
    assert error.part == part
    assert error.problem.startswith(problem)


# Each of these changes the description: keys of layer 0 (block.fc1), the part and the problem.
LAYER_CHANGES: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "conv"}, "layer conv", "must not occur twice"),
    ({"name": 5}, "layer 0", "name must be 1..1024 printable characters"),
    ({"name": "a\n"}, "layer 0", "name must be 1..1024 printable characters"),
    ({"name": "x" * 1025}, "layer 0", "name must be 1..1024 printable characters"),
    ({"name": "other"}, "block.fc1.", "must belong to a layer of the metadata"),
    (
        {"format": "zip"},
        "layer block.fc1",
        "format must be one of ssvq, vq, mvq, int8, int4, int3, int2, float, not 'zip'",
    ),
    ({"format": ["ssvq"]}, "layer block.fc1", "format must be one of"),
    ({"format": "vq"}, "block.fc1.signs", "must belong to a layer of the metadata"),
    ({"kind": "conv2d"}, "layer block.fc1", "weight_shape must be 4 sizes for a conv2d, not (6, 13)"),
    ({"weight_shape": None}, "layer block.fc1", "weight_shape must be a list"),
    ({"weight_shape": [6, 0]}, "layer block.fc1", "weight_shape must be in 1..2147483647, not 0"),
    ({"weight_shape": [6, True]}, "layer block.fc1", "weight_shape must be an int, not True"),
    ({"weight_shape": [6, 2**31]}, "layer block.fc1", "weight_shape must be in 1..2147483647"),
    ({"weight_shape": [2**31 - 1] * 2, "scale_count": 1}, "block.fc1.", "shape must be ["),
    ({"codebook_size": 24}, "layer block.fc1", "codebook_size must be a power of two, not 24"),
    ({"codebook_size": None}, "layer block.fc1", "codebook_size must be an int, not None"),
    ({"vector_dim": 64}, "layer block.fc1", "vector_dim must be in 2..32, not 64"),
    ({"keep": 4}, "layer block.fc1", "keep must be None for format ssvq, not 4"),
    ({"group": [4]}, "layer block.fc1", "group must be None for format ssvq, not [4]"),
    ({"output_padding": 1}, "layer block.fc1", "output_padding must be 0 for a linear, not 1"),
    ({"activation": "gelu"}, "layer block.fc1", "activation must be one of none, relu, relu6, not 'gelu'"),
    ({"activation": None}, "layer block.fc1", "activation must be one of none, relu, relu6, not None"),
    ({"input_scale": 0.5}, "layer block.fc1", "input_scale must be null or have exactly scale, zero_point and gains"),
    (
        {"output_scale": {"scale": 0.5}},
        "layer block.fc1",
        "output_scale must be null or have exactly scale, zero_point",
    ),
    (
        {"input_scale": {"scale": 1, "zero_point": 0, "gains": []}},
        "layer block.fc1",
        "input_scale must have a scale with a point and an integer zero_point, not {'scale': 1, 'zero_point': 0, 'ga",
    ),
    (
        {"input_scale": {"scale": 0.5, "zero_point": True, "gains": []}},
        "layer block.fc1",
        "input_scale must have a scale with a point and an integer zero_point, not {'scale': 0.5, 'zero_point': Tru",
    ),
    (
        {"input_scale": {"scale": 0.5, "zero_point": 128, "gains": []}},
        "layer block.fc1",
        "input_scale: zero_point must be from -128 to 127, not 128",
    ),
    (
        {"output_scale": {"scale": -0.5, "zero_point": 0, "gains": []}},
        "layer block.fc1",
        "output_scale: scale must be positive and finite, not -0.5",
    ),
    (
        {"output_scale": {"scale": 0.5, "zero_point": 0, "gains": [1]}},
        "layer block.fc1",
        "output_scale must have a list of gains with a point, not [1]",
    ),
    (
        {"output_scale": {"scale": 0.5, "zero_point": 0, "gains": [1.0, 2.0]}},
        "block.fc1.output_scale",
        "must have 0 or 6 gains, not 2",
    ),
    (
        {"input_scale": {"scale": 0.5, "zero_point": 0, "gains": [1.0] * 6}},
        "block.fc1.input_scale",
        "must have 0 gains, not 6",
    ),
    (
        {"output_scale": {"scale": 0.5, "zero_point": 0, "gains": [1.0] * 5 + [0.0]}},
        "layer block.fc1",
        "output_scale: scale * gain must be positive and finite in float32, not 0.0 * scale",
    ),
    ({"stride": 2}, "layer block.fc1", "stride, padding, dilation, groups must be 1, 0, 1, 1 for a linear layer"),
    ({"groups": 0}, "layer block.fc1", "groups must be in 1..2147483647, not 0"),
    ({"scale_count": 2}, "layer block.fc1", "scale_count must be one of [1, 6], not 2"),
    ({"scale_count": True}, "layer block.fc1", "scale_count must be one of [1, 6], not True"),
    ({"has_bias": 1}, "layer block.fc1", "has_bias must be true or false, not 1"),
    ({"has_bias": False}, "block.fc1.bias", "must belong to a layer of the metadata"),
    ({"unknown": 1}, "layer 0", "must have exactly the keys"),
]


@pytest.mark.parametrize(("change", "part", "problem"), LAYER_CHANGES)
def test_wrong_description(tmp_path: Path, valid: bytes, change: dict[str, Any], part: str, problem: str) -> None:
    header, content = split(valid)
    description = described(header)
    description["layers"][0].update(change)
    header["__metadata__"]["ssvq"] = json.dumps(description)
    error = refusal(tmp_path / "file", join(header, content))
    assert error.part.startswith(part)
    assert error.problem.startswith(problem)


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        ({"version": 1, "layers": []}, "version must be 2, not 1"),
        ({"version": True, "layers": []}, "version must be 2, not True"),
        ({"layers": []}, "version must be 2, not None"),
        ({"version": 2}, "must have a version and a list of layers, and nothing else"),
        ({"version": 2, "layers": {}}, "must have a version and a list of layers, and nothing else"),
        ({"version": 2, "layers": [], "run": "code"}, "must have a version and a list of layers, and nothing else"),
    ],
)
def test_wrong_version(tmp_path: Path, valid: bytes, description: Header, problem: str) -> None:
    header, content = split(valid)
    header["__metadata__"]["ssvq"] = json.dumps(description)
    error = refusal(tmp_path / "file", join(header, content))
    assert (error.part, error.problem) == ("metadata", problem)


# Each of these overwrites a tensor's bytes: tensor, offset in it, bytes, problem.
CONTENT_CHANGES: list[tuple[str, int, bytes, str]] = [
    ("block.fc1.codebook", 0, b"\xff", "must hold values in 0..127, not -1.."),
    ("conv.codebook", 0, b"\x80", "must hold values in -127..127, not -128.."),
    ("dense.weight_int8", 3, b"\x80", "must hold values in -127..127, not -128.."),
    ("masked.codebook", 0, b"\x80", "must hold values in -127..127, not -128.."),
    ("masked.mask", 0, b"\xff", "must hold pattern numbers below 56, not 63"),
    ("masked.mask", 2, b"\x0f", "must keep channels of the padding only in place of real ones"),
    ("masked.mask", 11, b"\xff", "must have zeros in the unused bits of the last byte"),
    ("three.weight_int8", 7, b"\xff", "must have zeros in the unused bits of the last byte"),
    ("block.fc1.scale", 4, b"\x00\x00\x80\xbf", "must be at least 0, not -1.0"),
    ("block.fc1.scale", 4, b"\x00\x00\x80\x7f", "must be finite"),
    ("block.fc1.bias", 0, b"\x00\x00\xc0\x7f", "must be finite"),
    ("plain.weight_float", 0, b"\x00\x00\xc0\xff", "must be finite"),
    ("block.fc1.signs", 1, b"\xff", "must be False in the padding and where the codeword element is 0"),
]


@pytest.mark.parametrize(("name", "offset", "change", "problem"), CONTENT_CHANGES)
def test_wrong_content(tmp_path: Path, valid: bytes, name: str, offset: int, change: bytes, problem: str) -> None:
    header, content = split(valid)
    start = header[name]["data_offsets"][0] + offset
    error = refusal(tmp_path / "file", join(header, content[:start] + change + content[start + len(change) :]))
    assert error.part == name
    assert error.problem.startswith(problem)


def test_unused_bits_must_be_zero(tmp_path: Path) -> None:
    path = tmp_path / "file"
    save(path, [encode(weights(3, 8), coded(WeightFormat.VQ, 2, 8), name="fc")])
    header, content = split(path.read_bytes())
    start, end = header["fc.indices"]["data_offsets"]
    assert end - start == 1
    changed = content[:start] + bytes([content[start] | 0x80]) + content[end:]
    error = refusal(path, join(header, changed))
    assert str(error) == "fc.indices: must have zeros in the unused bits of the last byte"


def test_every_truncation_is_refused(tmp_path: Path, valid: bytes) -> None:
    for length in (*range(0, 12), *range(12, len(valid), 37), len(valid) - 1):
        error = refusal(tmp_path / "file", valid[:length])
        if length < 8:
            assert error.problem == f"must have at least 8 bytes, not {length}"
    assert error.problem.startswith("must end within the ")
    assert error.part in split(valid)[0]


def test_trailing_bytes(tmp_path: Path, valid: bytes) -> None:
    error = refusal(tmp_path / "file", valid + b"\0" * 5)
    assert str(error) == "file: must end after the last tensor, not 5 bytes later"


@pytest.mark.parametrize("length", [2**24 + 1, 2**63, 2**64 - 1])
def test_header_length_is_limited(tmp_path: Path, valid: bytes, length: int) -> None:
    error = refusal(tmp_path / "file", length.to_bytes(8, "little") + valid[8:])
    assert str(error) == f"header: must be at most 16777216 bytes, not {length}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "must begin with '{'"),
        (b" {}", "must begin with '{'"),
        (b"[]", "must begin with '{'"),
        (b"{\xff}", "must be JSON: "),
        (b'{"a":' * 100_000, "must be JSON: "),
        (b'{"a":Infinity}', "must be JSON: Infinity is not JSON"),
    ],
)
def test_malformed_header(tmp_path: Path, text: bytes, problem: str) -> None:
    error = refusal(tmp_path / "file", join(text, b""))
    assert error.part == "header"
    assert error.problem.startswith(problem)


def test_a_tensor_listed_twice(tmp_path: Path, valid: bytes) -> None:
    header, content = split(valid)
    text = json.dumps(header)[:-1] + ',"conv.scale":' + json.dumps(header["conv.scale"]) + "}"
    error = refusal(tmp_path / "file", join(text.encode(), content))
    assert str(error) == "conv.scale: must not occur twice in the header"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_reordered_tensors_are_refused(tmp_path: Path, valid: bytes, data: st.DataObject) -> None:
    header, content = split(valid)
    names = [name for name in header if name != "__metadata__"]
    order = data.draw(st.permutations(names))
    if order == names:
        return
    reordered = {"__metadata__": header["__metadata__"]} | {name: header[name] for name in order}
    error = refusal(tmp_path / "file", join(reordered, content))
    first = next(a for a, b in zip(order, names, strict=True) if a != b)
    assert error.part == first
    assert error.problem.startswith("data_offsets must be [")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), change=st.binary(min_size=1, max_size=8), cut=st.integers(0, 8))
def test_any_damage_gives_a_container_error_or_a_valid_file(
    tmp_path: Path, valid: bytes, place: float, change: bytes, cut: int
) -> None:
    start = int(place * len(valid))
    path = tmp_path / "file"
    path.write_bytes(valid[:start] + change + valid[start + cut :])
    try:
        layers = load(path)
    except ContainerError:
        pass
    else:
        for layer in layers.values():
            assert torch.isfinite(layer.decode()).all()
        save(path, layers)
        assert all(equal(layer, load(path)[name]) for name, layer in layers.items())


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(tmp_path: Path, data: bytes) -> None:
    refusal(tmp_path / "file", data)
    refusal(tmp_path / "file", join(data, b""))


def test_nothing_is_executed(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
            return Path.touch, (tmp_path / "executed",)  # type: ignore[return-value]

    attack = pickle.dumps(Attack())
    refusal(tmp_path / "file", attack)
    refusal(tmp_path / "file", join(b'{"__metadata__":{"ssvq":"{}"}}', attack))
    torch.save({"fc": torch.ones(2)}, tmp_path / "file")
    refusal(tmp_path / "file", (tmp_path / "file").read_bytes())
    assert not (tmp_path / "executed").exists()


def test_a_claimed_size_allocates_nothing(tmp_path: Path, valid: bytes) -> None:
    header, content = split(valid)
    description = described(header)
    description["layers"][0] |= {"weight_shape": [2**31 - 1, 2**31 - 1], "scale_count": 1}
    header["__metadata__"]["ssvq"] = json.dumps(description)
    for name in ("indices", "signs"):
        header[f"block.fc1.{name}"] |= {"shape": [2**60], "data_offsets": [0, 2**60]}
    tracemalloc.start()
    try:
        refusal(tmp_path / "file", join(header, content))
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, valid: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(valid + b"\0" * 8)
    status = path.stat()
    path.write_bytes(valid)
    monkeypatch.setattr(os, "fstat", lambda _descriptor: status)
    with pytest.raises(ContainerError, match="file: must end after the last tensor, not 8 bytes later"):
        load(path)
    path.write_bytes(valid[:-10])
    path_status = os.stat_result((*status[:6], len(valid), *status[7:]))
    monkeypatch.setattr(os, "fstat", lambda _descriptor: path_status)
    with pytest.raises(ContainerError, match="file: ended 10 bytes early while it was read"):
        load(path)
