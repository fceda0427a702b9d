"""Files that a run writes: outputs, all tensors of its integer networks, profiles. Each appears whole or not at all."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import safetensors.numpy

from ssvq.files import write_atomically
from ssvq.network.files.tree_codec import Array
from ssvq.network.hosting.backend import ProgramRun
from ssvq.network.hosting.partitioned_network import CorePart, RunCore
from ssvq.network.integer.integer_network import IntegerNetwork
from ssvq.perfetto import trace_json
from ssvq.reference import Int8Array

TRACE_CLOCK_MHZ = 1.0
"""A microsecond of the trace is a cycle."""
NAME_LENGTH_MAX = 100


def require_output(path: Path, outputs: Mapping[str, Any]) -> None:
    """Raises ValueError where these outputs cannot be in such a file."""
    if path.suffix not in (".npy", ".safetensors"):
        raise ValueError(f"outputs must go to a .npy or .safetensors file, not {str(path)!r}")
    if path.suffix == ".npy" and len(outputs) != 1:
        raise ValueError(f"{len(outputs)} outputs ({', '.join(outputs)}) must go to a .safetensors file, not .npy")


def save_outputs(values: Mapping[str, Array], path: Path) -> None:
    """Write a network's outputs. Raises ValueError as `require_output`, OSError."""
    require_output(path, values)
    if path.suffix == ".npy":
        write_atomically(path, _npy(next(iter(values.values()))))
    else:
        data = safetensors.numpy.save({name: np.array(value, order="C") for name, value in values.items()})
        write_atomically(path, bytes(data))


def save_profiles(runs: Mapping[str, ProgramRun], path: Path) -> None:
    """Write a trace for each part that has a profile; of several, each has the part's number in its name."""
    profiles = [run.profile for run in runs.values() if run.profile is not None]
    for number, profile in enumerate(profiles):
        file = path if len(profiles) == 1 else path.with_stem(f"{path.stem}-{number}")
        write_atomically(file, json.dumps(trace_json(profile, TRACE_CLOCK_MHZ)).encode())


class DumpingCore:
    """Runs core parts as another does, and writes all tensors of their golden models: a `RunCore`.

    A part's folder has its name; in it `0012 blocks.0.norm1.npy` is int8 (activations, channels) of the tensor that is
    written as the 13th, and `index.json` says what all of them mean.
    """

    def __init__(self, core: RunCore, folder: Path) -> None:
        self._core, self._folder = core, folder

    def __call__(self, part: CorePart, given: Mapping[str, Int8Array]) -> Mapping[str, Int8Array]:
        """The outputs."""
        network = part.compiled.network
        memory = network.run(given)
        folder = self._folder / part.name.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        index = []
        for number, name in enumerate(_order(network)):
            scale, file = network.tensors[name].scale, f"{number:04} {_file_name(name)}.npy"
            write_atomically(folder / file, _npy(memory[name]))
            about = {"scale": scale.scale, "zero_point": scale.zero_point, "gains": list(scale.gains)}
            index.append({"tensor": name, "file": file, **about})
        write_atomically(folder / "index.json", json.dumps(index, indent=1).encode())
        return self._core(part, given)


def _order(network: IntegerNetwork) -> list[str]:
    """Inputs and constants, then what the steps write."""
    written = dict.fromkeys(step.target.tensor for step in network.steps)
    return [*(name for name in network.tensors if name not in written), *written]


def _file_name(name: str) -> str:
    return quote(name, safe=" ")[:NAME_LENGTH_MAX]


def _npy(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
