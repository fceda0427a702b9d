"""Weights as `torch.save` writes them: a ZIP file with a pickle, which must run nothing."""

from __future__ import annotations

import io
import zipfile

import torch
from torch import Tensor

from ssvq.models.checkpoint import CheckpointError, read_weights

from ..scratch import as_file
from ..target import Target, Tree, UnwritableError


def _bytes(weights: object) -> bytes:
    file = io.BytesIO()
    torch.save(weights, file)
    return file.getvalue()


def _seeds() -> list[bytes]:
    weights = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.zeros(2, dtype=torch.float16)}
    nested = {"model": {f"module.{name}": value for name, value in weights.items()}}
    return [_bytes(weights), _bytes(nested)]


def _apart(data: bytes) -> Tree:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            stored = [entry for entry in archive.infolist() if entry.compress_type == zipfile.ZIP_STORED]
            return {entry.filename: archive.read(entry) for entry in stored}
    except Exception as error:  # of a damaged archive
        raise UnwritableError(str(error)) from error


def _together(tree: Tree) -> bytes:
    file = io.BytesIO()
    try:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, content in (tree if isinstance(tree, dict) else {}).items():
                archive.writestr(zipfile.ZipInfo(name), content if isinstance(content, bytes) else b"")
    except (ValueError, UnicodeEncodeError, OverflowError) as error:
        raise UnwritableError(str(error)) from error
    return file.getvalue()


def _write(weights: dict[str, Tensor]) -> bytes:
    """Without what else the file had beside the tensors."""
    return _bytes({name: tensor.detach().clone() for name, tensor in weights.items()})


TARGET = Target(
    name="checkpoint",
    seeds=_seeds,
    errors=(CheckpointError,),
    read=lambda data: read_weights(as_file(data, "weights.pth")),
    write=_write,
    apart=_apart,
    together=_together,
)
