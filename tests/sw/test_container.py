"""The container: exact round trip, and honest size."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import get_args

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from container_files import NAMES, coded, equal, example, saved, split, weights
from hypothesis import HealthCheck, given, settings

from ssvq.container import ContainerError, load, save
from ssvq.quantize import (
    Activation,
    CompressedLayer,
    LayerKind,
    QuantizeConfig,
    ScaleKind,
    WeightFormat,
    encode,
    pack_bits,
    unpack_bits,
)
from ssvq.reference import ActivationScale


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return saved(tmp_path_factory.mktemp("container"), example())


def test_round_trip_is_exact(tmp_path: Path, valid: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(valid)
    found = load(path)
    assert list(found) == NAMES
    assert all(equal(found[layer.name], layer) for layer in example())
    save(path, found)
    assert path.read_bytes() == valid


@st.composite
def layers(draw: st.DrawFn) -> CompressedLayer:
    """Any format, kind and geometry; the weights are few but need padding, groups and masks of all sizes."""
    format = draw(st.sampled_from(WeightFormat))
    kind = draw(st.sampled_from(get_args(LayerKind)))
    shape = [draw(st.integers(1, 12)), draw(st.integers(1, 40))]
    geometry: dict[str, int] = {}
    if kind != "linear":
        shape = [shape[0], draw(st.integers(1, 9)), draw(st.integers(1, 3)), draw(st.integers(1, 3))]
        groups = draw(st.sampled_from([1, shape[0]] + [2] * (shape[0] % 2 == 0)))
        names = ("stride", "dilation", "padding")
        geometry = {name: draw(st.integers(name != "padding", 3)) for name in names} | {"groups": groups}
    if kind == "conv_transpose2d":
        geometry["output_padding"] = draw(st.integers(0, max(geometry["stride"], geometry["dilation"]) - 1))
    sizes: dict[str, int] = {}
    if format is WeightFormat.MVQ:
        sizes["group"] = draw(st.integers(2, 16))
        sizes["keep"] = draw(st.integers(1, sizes["group"] - 1))
    if format.has_codebook:
        step = sizes.get("group", 1)
        sizes["vector_dim"] = step * draw(st.integers(-(-2 // step), 32 // step))
        count = math.prod(shape) // shape[1] * -(-shape[1] // sizes["vector_dim"])
        if count < 2:
            shape[0] *= 2
            count *= 2
        sizes["codebook_size"] = 1 << draw(st.integers(1, min(12, count.bit_length() - 1)))
    scale = draw(st.sampled_from(get_args(ScaleKind)))
    config = QuantizeConfig(format=format, **sizes, scale=scale, iterations=2, refine_rounds=1)  # type: ignore[arg-type]
    bias = weights(shape[0]) if draw(st.booleans()) else None
    weight = weights(*shape, seed=draw(st.integers(0, 99)))
    scales = st.none() | st.builds(ActivationScale, scale=st.floats(5e-324, 1e300), zero_point=st.integers(-128, 127))
    return replace(
        encode(weight, config, bias=bias, kind=kind, **geometry),
        input_scale=draw(scales),
        output_scale=draw(scales),
        activation=draw(st.sampled_from(get_args(Activation))),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layer=layers())
def test_round_trip_of_any_layer(tmp_path: Path, layer: CompressedLayer) -> None:
    path = tmp_path / "any"
    save(path, [layer])
    found = load(path)["layer"]
    assert equal(found, layer)
    assert torch.equal(found.module_weight(), layer.module_weight())
    data_bytes = path.stat().st_size - 8 - int.from_bytes(path.read_bytes()[:8], "little")
    bits = layer.storage_bits + (0 if layer.bias is None else 32 * layer.bias.numel())
    assert bits / 8 <= data_bytes < bits / 8 + 3
    saved = path.read_bytes()
    save(path, [found])
    assert path.read_bytes() == saved


def test_a_large_codebook(tmp_path: Path) -> None:
    layer = encode(weights(1024, 13), coded(WeightFormat.VQ, 4096, 3))
    save(tmp_path / "file", [layer])
    assert equal(load(tmp_path / "file")["layer"], layer)


@pytest.mark.parametrize("format", [WeightFormat.INT4, WeightFormat.INT3, WeightFormat.INT2])
def test_integers_are_packed_as_twos_complement(tmp_path: Path, format: WeightFormat) -> None:
    low, high = format.integer_range
    values = torch.arange(low, high + 1, dtype=torch.int8)
    layer = encode(torch.ones(1, len(values)), QuantizeConfig(format=format))
    save(tmp_path / "file", [replace(layer, weight_int8=values[None, None])])
    header, content = split((tmp_path / "file").read_bytes())
    begin, end = header["layer.weight_int8"]["data_offsets"]
    width = format.bits
    whole = sum((int(value) % (1 << width)) << (width * place) for place, value in enumerate(values))
    assert content[begin:end] == whole.to_bytes(-(-width * len(values) // 8), "little")


def test_scales_of_numpy_are_saved(tmp_path: Path) -> None:
    scale = ActivationScale(scale=np.float64(1), zero_point=np.int64(3))  # type: ignore[arg-type]
    save(tmp_path / "file", [replace(example()[2], input_scale=scale)])
    assert load(tmp_path / "file")["dense"].input_scale == ActivationScale(scale=1.0, zero_point=3)


def test_no_layers(tmp_path: Path) -> None:
    save(tmp_path / "none", {})
    assert load(tmp_path / "none") == {}


@given(width=st.integers(1, 15), data=st.data())
def test_packing(width: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, 2**width - 1), max_size=50))
    packed = pack_bits(torch.tensor(values, dtype=torch.int16), width)
    whole = sum(value << (width * place) for place, value in enumerate(values))
    assert packed.numpy().tobytes() == whole.to_bytes(-(-width * len(values) // 8), "little")
    assert unpack_bits(packed, width, len(values)).tolist() == values


def test_two_layers_of_one_name_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ContainerError, match="layer conv: must have a name of its own"):
        save(tmp_path / "file", [example()[1], example()[1]])
    assert list(tmp_path.iterdir()) == []


def test_saving_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    save(path, example()[:1])
    before = path.read_bytes()

    def fail(_descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save(path, example())
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_saved_file_has_the_usual_permissions(tmp_path: Path) -> None:
    save(tmp_path / "file", [])
    (tmp_path / "other").touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode
