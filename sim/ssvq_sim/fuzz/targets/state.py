"""States of training, which checkpoints are."""

from __future__ import annotations

from typing import Any

import torch

from ssvq.train.state_file import StateFileError, load_state, save_state

from ..scratch import as_file, folder
from ..target import Target
from . import safetensors_parts


def _bytes(state: dict[str, Any]) -> bytes:
    path = folder() / "written.safetensors"
    save_state(path, state)
    return path.read_bytes()


def _seeds() -> list[bytes]:
    tensors = {
        "weight": torch.arange(6.0).view(2, 3),
        "steps": torch.tensor([3]),
        "frozen": torch.tensor([True, False]),
    }
    return [_bytes({"step": 3, "configuration": {"a": [1, 2.5, None]}, "state": {"model": tensors, "name": "x"}})]


TARGET = Target(
    name="state",
    seeds=_seeds,
    errors=(StateFileError,),
    read=lambda data: load_state(as_file(data, "state.safetensors")),
    write=_bytes,
    apart=safetensors_parts.apart,
    together=safetensors_parts.together,
    repaired=safetensors_parts.repaired,
)
