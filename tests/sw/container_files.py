"""Layers of every format, and the parts of a container file that has them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ssvq.container import ContainerError, load, save
from ssvq.quantize import (
    CompressedLayer,
    QuantizeConfig,
    WeightFormat,
    encode,
)
from ssvq.quantize.layer import FORMAT_TENSORS
from ssvq.reference import ActivationScale

Header = dict[str, Any]
TENSORS = (*FORMAT_TENSORS, "scale", "bias")
NAMES = ["block.fc1", "conv", "dense", "plain", "masked", "up", "three"]


def weights(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def coded(format: WeightFormat, size: int, dim: int, **more: Any) -> QuantizeConfig:
    return QuantizeConfig(format=format, codebook_size=size, vector_dim=dim, iterations=2, refine_rounds=1, **more)


def example() -> list[CompressedLayer]:
    return [
        encode(weights(6, 13), coded(WeightFormat.SSVQ, 8, 4), bias=weights(6), name="block.fc1"),
        encode(
            weights(6, 5, 3, 3), coded(WeightFormat.VQ, 16, 3), name="conv", stride=2, padding=1, dilation=2, groups=2
        ),
        encode(weights(4, 6), QuantizeConfig(format=WeightFormat.INT8, scale="layer"), name="dense"),
        encode(weights(4, 6), QuantizeConfig(format=WeightFormat.FLOAT), bias=weights(4), name="plain"),
        replace(
            encode(weights(5, 19), coded(WeightFormat.MVQ, 4, 8, keep=3, group=8), name="masked"),
            input_scale=ActivationScale(scale=0.1, zero_point=-128),
            output_scale=ActivationScale(scale=2.5e-7, gains=(0.5, 1.0, 1e-3, 2.0**-8, 3.0)),
            activation="relu6",
        ),
        encode(
            weights(6, 5, 3, 3),
            QuantizeConfig(format=WeightFormat.INT4),
            name="up",
            kind="conv_transpose2d",
            stride=2,
            output_padding=1,
            groups=3,
        ),
        encode(weights(3, 7), QuantizeConfig(format=WeightFormat.INT3), name="three"),
    ]


def equal(first: CompressedLayer, second: CompressedLayer) -> bool:
    names = set(vars(first)) - set(TENSORS)
    if any(getattr(first, name) != getattr(second, name) for name in names):
        return False
    pairs = [(getattr(first, name), getattr(second, name)) for name in TENSORS]
    return all(a is b if a is None or b is None else a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


def split(data: bytes) -> tuple[Header, bytes]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join(header: Header | bytes, content: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content


def described(header: Header) -> Header:
    description: Header = json.loads(header["__metadata__"]["ssvq"])
    return description


def saved(folder: Path, layers: list[CompressedLayer]) -> bytes:
    save(folder / "valid.safetensors", layers)
    return (folder / "valid.safetensors").read_bytes()


def refusal(path: Path, data: bytes) -> ContainerError:
    path.write_bytes(data)
    with pytest.raises(ContainerError) as caught:
        load(path)
    return caught.value
