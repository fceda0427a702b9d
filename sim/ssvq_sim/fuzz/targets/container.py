"""Containers of compressed layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from ssvq.container import ContainerError, load, save
from ssvq.layer_table import layer_table
from ssvq.quantize import CompressedLayer, QuantizeConfig, WeightFormat, encode
from ssvq.reference import ActivationScale

from ..scratch import as_file, folder
from ..target import Target
from . import safetensors_parts

Layers = dict[str, CompressedLayer]


def _weights(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def _coded(format: WeightFormat, size: int, dim: int, **more: Any) -> QuantizeConfig:
    return QuantizeConfig(format=format, codebook_size=size, vector_dim=dim, iterations=1, refine_rounds=1, **more)


def _seeds() -> list[bytes]:
    ssvq = encode(_weights(4, 13), _coded(WeightFormat.SSVQ, 4, 4), bias=torch.ones(4), name="a")
    scaled = replace(ssvq, input_scale=ActivationScale(scale=0.1, zero_point=-128), output_scale=_gains(4))
    vq = encode(_weights(6, 4, 3, 3), _coded(WeightFormat.VQ, 8, 2), name="b", stride=2, padding=1, groups=2)
    mvq = encode(_weights(5, 19), _coded(WeightFormat.MVQ, 4, 8, keep=3, group=8), name="c")
    up = encode(
        _weights(6, 5, 3, 3),
        QuantizeConfig(format=WeightFormat.INT4),
        name="d",
        kind="conv_transpose2d",
        stride=2,
        output_padding=1,
        groups=3,
    )
    plain = [
        encode(_weights(3, 6), QuantizeConfig(format=format), name=format.value)
        for format in (WeightFormat.INT8, WeightFormat.INT3, WeightFormat.FLOAT)
    ]
    return [_bytes([scaled, vq]), _bytes([mvq, up]), _bytes(plain)]


def _gains(count: int) -> ActivationScale:
    return ActivationScale(scale=2.5e-7, gains=tuple(2.0**-number for number in range(count)))


def _bytes(layers: list[CompressedLayer]) -> bytes:
    path = folder() / "written.ssvq"
    save(path, layers)
    return path.read_bytes()


def _read(data: bytes) -> Layers:
    layers = load(as_file(data, "container.ssvq"))
    layer_table(layers.values())
    for layer in layers.values():
        layer.decode()
    return layers


TARGET = Target(
    name="container",
    seeds=_seeds,
    errors=(ContainerError,),
    read=_read,
    write=lambda layers: _bytes(list(layers.values())),
    apart=safetensors_parts.apart,
    together=safetensors_parts.together,
    repaired=safetensors_parts.repaired,
)
