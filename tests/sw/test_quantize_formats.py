"""QuantizeConfig accepts what it documents and names the value and the rule otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from ssvq.quantize import QuantizeConfig, WeightFormat


@pytest.mark.parametrize("size", [2**n for n in range(1, 13)])
@pytest.mark.parametrize("dim", [2, 3, 8, 31, 32])
def test_every_codebook_size_is_accepted(size: int, dim: int) -> None:
    config = QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=size, vector_dim=dim)
    assert config.codebook == (size, dim)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"format": "ssvq"}, TypeError, "format must be a WeightFormat, not 'ssvq'"),
        ({"codebook_size": None}, TypeError, "codebook_size must be an int, not None"),
        ({"codebook_size": 16.0}, TypeError, "codebook_size must be an int, not 16.0"),
        ({"codebook_size": True}, TypeError, "codebook_size must be an int, not True"),
        ({"codebook_size": 1}, ValueError, "codebook_size must be in 2..4096, not 1"),
        ({"codebook_size": 8192}, ValueError, "codebook_size must be in 2..4096, not 8192"),
        ({"codebook_size": 24}, ValueError, "codebook_size must be a power of two, not 24"),
        ({"vector_dim": None}, TypeError, "vector_dim must be an int, not None"),
        ({"vector_dim": 1}, ValueError, "vector_dim must be in 2..32, not 1"),
        ({"vector_dim": 33}, ValueError, "vector_dim must be in 2..32, not 33"),
        ({"keep": 2}, ValueError, "keep must be None for format ssvq, not 2"),
        ({"group": 4}, ValueError, "group must be None for format ssvq, not 4"),
        ({"format": WeightFormat.MVQ}, TypeError, "group must be an int, not None"),
        ({"format": WeightFormat.MVQ, "group": 4}, TypeError, "keep must be an int, not None"),
        ({"format": WeightFormat.MVQ, "group": 1, "keep": 1}, ValueError, "group must be in 2..16, not 1"),
        ({"format": WeightFormat.MVQ, "group": 17, "keep": 1}, ValueError, "group must be in 2..16, not 17"),
        (
            {"format": WeightFormat.MVQ, "group": 3, "keep": 1},
            ValueError,
            "group must divide the vector_dim 8, not be 3",
        ),
        ({"format": WeightFormat.MVQ, "group": 4, "keep": 0}, ValueError, "keep must be in 1..3, not 0"),
        ({"format": WeightFormat.MVQ, "group": 4, "keep": 4}, ValueError, "keep must be in 1..3, not 4"),
        ({"clip": "mean"}, ValueError, "clip must be 'max' or 'mse', not 'mean'"),
        ({"clip": "mse"}, ValueError, "clip must be 'max' for format ssvq, not 'mse'"),
        ({"scale": "tensor"}, ValueError, "scale must be 'channel' or 'layer', not 'tensor'"),
        ({"seed": -1}, ValueError, "seed must be in 0..9223372036854775807, not -1"),
        ({"iterations": 0}, ValueError, "iterations must be in 1..10000, not 0"),
        ({"train_subvectors": 0}, ValueError, "train_subvectors must be in 1..1099511627776, not 0"),
        ({"refine_rounds": 0}, ValueError, "refine_rounds must be in 1..1000, not 0"),
        ({"format": WeightFormat.INT8}, ValueError, "codebook_size must be None for format int8, not 16"),
        (
            {"format": WeightFormat.FLOAT, "codebook_size": None},
            ValueError,
            "vector_dim must be None for format float, not 8",
        ),
    ],
)
def test_errors_name_the_value_and_the_rule(change: dict[str, Any], error: type[Exception], text: str) -> None:
    settings: dict[str, Any] = {"format": WeightFormat.SSVQ, "codebook_size": 16, "vector_dim": 8}
    with pytest.raises(error) as caught:
        QuantizeConfig(**(settings | change))
    assert str(caught.value) == text


def test_a_format_without_codebook_has_no_codebook_sizes() -> None:
    with pytest.raises(ValueError, match="format int8 has no codebook"):
        _ = QuantizeConfig(format=WeightFormat.INT8).codebook


def test_properties_of_formats() -> None:
    assert [f.value for f in WeightFormat if f.has_codebook] == ["ssvq", "vq", "mvq"]
    assert {f.value: f.bits for f in WeightFormat if f.is_uniform} == {"int8": 8, "int4": 4, "int3": 3, "int2": 2}
    ranges = {f.value: f.integer_range for f in WeightFormat if f.is_uniform}
    assert ranges == {"int8": (-127, 127), "int4": (-8, 7), "int3": (-4, 3), "int2": (-2, 1)}
    for format in (WeightFormat.SSVQ, WeightFormat.FLOAT):
        with pytest.raises(ValueError, match=f"format {format.value} is not uniform"):
            _ = format.bits
        with pytest.raises(ValueError, match=f"format {format.value} is not uniform"):
            _ = format.integer_range


def test_masked_vectors() -> None:
    config = QuantizeConfig(format=WeightFormat.MVQ, codebook_size=16, vector_dim=16, keep=4, group=16)
    assert config.pattern == (4, 16)
    assert QuantizeConfig(format=WeightFormat.INT4, clip="mse").pattern is None
