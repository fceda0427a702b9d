"""Nested states of tensors, numbers and texts as one safetensors file, which runs no code when it is read.

The tensors are numbered; the metadata entry `state` is JSON, in which `{"tensor": number}` stands for one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from ssvq.files import write_atomically

STATE_KEY = "state"
TENSOR_KEY = "tensor"


class StateFileError(ValueError):
    """A file is no whole state; the text names the file."""


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state of dicts with texts as keys, lists, tensors, numbers, texts, booleans and None.

    The file appears whole, and stays after a power failure, or not at all.

    Raises:
        TypeError: something else is in the state.
        OSError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_without_tensors(state, tensors))
    data = safetensors.torch.save(tensors, metadata={STATE_KEY: text})
    write_atomically(path, data)


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` has written; tensors are on the CPU.

    Raises:
        StateFileError: the file cannot be read, is not whole, or is something else.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(STATE_KEY, "")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
        state = _with_tensors(json.loads(text), tensors)
    except (OSError, ValueError, KeyError, RecursionError, safetensors.SafetensorError) as error:
        raise StateFileError(f"{path} is no whole state: {error}") from error
    if not isinstance(state, dict):
        raise StateFileError(f"{path} is no whole state: it must be a table, not {type(state).__name__}")
    return state


def _without_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # safetensors takes no tensors that share memory, as those of a shared quantizer or tied weights do
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {TENSOR_KEY: name}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"keys of a state must be texts, not {key!r}")
        return {key: _without_tensors(child, tensors) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_without_tensors(child, tensors) for child in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"a state must have no {type(value).__name__}")


def _with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {TENSOR_KEY} and isinstance(value[TENSOR_KEY], str):
            return tensors[value[TENSOR_KEY]]
        return {key: _with_tensors(child, tensors) for key, child in value.items()}
    if isinstance(value, list):
        return [_with_tensors(child, tensors) for child in value]
    return value
