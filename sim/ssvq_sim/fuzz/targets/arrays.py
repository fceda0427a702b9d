"""Samples of several inputs as safetensors."""

from __future__ import annotations

import numpy as np
import safetensors.numpy
import torch

from ssvq.network.files.samples import Sample, read_samples
from ssvq.network.tensor_type import TensorType

from ..scratch import as_file
from ..target import Target
from . import safetensors_parts

INPUTS = {"x": TensorType((1, 3, 4), torch.float32), "ids": TensorType((1, 5), torch.int64)}


def _seeds() -> list[bytes]:
    return [
        bytes(safetensors.numpy.save({"x": np.ones((3, 4), np.float32), "ids": np.ones(5, np.int64)})),
        bytes(safetensors.numpy.save({"x": np.ones((2, 3, 4), np.float16), "ids": np.ones((2, 5), np.uint8)})),
    ]


def _write(samples: list[Sample]) -> bytes:
    stacked = [torch.cat(parts).numpy() for parts in zip(*samples, strict=True)]
    return bytes(safetensors.numpy.save(dict(zip(INPUTS, stacked, strict=True))))


TARGET = Target(
    name="arrays",
    seeds=_seeds,
    errors=(ValueError,),
    read=lambda data: read_samples(as_file(data, "samples.safetensors"), INPUTS, ""),
    write=_write,
    apart=safetensors_parts.apart,
    together=safetensors_parts.together,
    repaired=safetensors_parts.repaired,
)
