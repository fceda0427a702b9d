"""Weights from a file into a model of the same names."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

NESTS = ("model", "state_dict")
"""Keys under which training programs put the weights beside other things."""
SHOWN = 3
"""Names of one kind that an error lists."""


class CheckpointError(ValueError):
    """A checkpoint cannot be read or does not fit the model; the text names the file, the names and the shapes."""


def load_checkpoint(model: nn.Module, path: Path) -> None:
    """Copy a file's weights into a model; every parameter and buffer must be there, with its shape.

    Args:
        model: what to fill.
        path: `.safetensors`, or anything else that `torch.save` writes since PyTorch 1.6; no code in it runs. The
            weights may lie under the key "model" or "state_dict", and all names may start with "module.", as parallel
            training leaves them.

    Raises:
        CheckpointError: as said there; the model is then unchanged.
    """
    weights = read_weights(path)
    expected = model.state_dict()
    # the counters of batch norms are missing in old checkpoints and are not used
    optional = {name for name in expected if name.endswith(".num_batches_tracked")}
    problems = [
        *_listed("missing", [name for name in expected if name not in weights and name not in optional]),
        *_listed("unexpected", [name for name in weights if name not in expected]),
        *_listed(
            "of another shape",
            [
                f"{name} {tuple(weights[name].shape)} for {tuple(tensor.shape)}"
                for name, tensor in expected.items()
                if name in weights and weights[name].shape != tensor.shape
            ],
        ),
    ]
    if problems:
        raise CheckpointError(f"{path} must have the weights of {type(model).__name__}: {'; '.join(problems)}")
    model.load_state_dict(weights, strict=False)


def _listed(kind: str, names: list[str]) -> list[str]:
    """One line on names of a kind, or none."""
    if not names:
        return []
    more = f", ... ({len(names)} in all)" if len(names) > SHOWN else ""
    return [f"{kind} {', '.join(names[:SHOWN])}{more}"]


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, on the CPU.

    Raises:
        CheckpointError: the file cannot be read, or has something else than tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"checkpoint must be a file, not {str(path)!r}")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        loaded = _loaded(path)
    except CheckpointError:
        raise
    except Exception as error:  # a file may make anything of torch's reader
        reason = str(error).split("\n", 1)[0]  # torch goes on with advice on how to load code
        raise CheckpointError(f"{path} cannot be read as weights: {reason or type(error).__name__}") from error
    for nest in NESTS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(nest), Mapping):
            loaded = loaded[nest]
            break
    if not isinstance(loaded, Mapping) or not loaded:
        raise CheckpointError(f"{path} must have tensors by name, not {type(loaded).__name__}")
    for name, tensor in loaded.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise CheckpointError(f"{path} must have tensors by name, not {type(tensor).__name__} at {name!r:.80}")
        if tensor.layout != torch.strided or tensor.numel() * tensor.itemsize > path.stat().st_size:
            shape = tuple(tensor.shape)
            raise CheckpointError(f"{path} must have all numbers of its tensors, not {name} of {shape} by few of them")
    parallel = all(name.startswith("module.") for name in loaded)
    # copies, as these are where the file is, which may be written anew
    return {name.removeprefix("module.") if parallel else name: tensor.clone() for name, tensor in loaded.items()}


def _loaded(path: Path) -> Any:
    """What `torch.save` has written. Nothing is allocated by what the file says: tensors are where the file is."""
    if not zipfile.is_zipfile(path):
        rule = "it must be .safetensors, or as torch.save writes it since PyTorch 1.6"
        advice = "torch.save(torch.load(FILE, weights_only=True), FILE) makes that of an older one"
        raise CheckpointError(f"{path} cannot be read as weights: {rule}; {advice}")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED:
            raise CheckpointError(f"{path} must have its parts as they are, not compressed as {entry.filename!r:.80}")
        if entry.file_size != entry.compress_size:
            sizes = f"{entry.file_size} bytes in {entry.compress_size} as {entry.filename!r:.80}"
            raise CheckpointError(f"{path} must have its parts as they are, not {sizes}")
    if (total := sum(entry.file_size for entry in entries)) > (size := path.stat().st_size):
        raise CheckpointError(f"{path} must have all of its parts, not {total} bytes in a file of {size}")
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
