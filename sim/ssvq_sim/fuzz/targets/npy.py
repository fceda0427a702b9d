"""Samples of one input as .npy."""

from __future__ import annotations

import ast
import io
import struct

import numpy as np
import torch

from ssvq.network.files.samples import Sample, read_samples
from ssvq.network.files.tree_codec import Array
from ssvq.network.tensor_type import TensorType

from ..scratch import as_file
from ..target import Target, Tree, UnwritableError

INPUTS = {"x": TensorType((1, 3, 4), torch.float32)}
_MAGIC = b"\x93NUMPY"
_LENGTH = struct.Struct("<H")
_LENGTH_MAX = (1 << 16) - 1
_TEXT = len(_MAGIC) + 2 + _LENGTH.size


def _bytes(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _apart(data: bytes) -> Tree:
    if len(data) < _TEXT:
        raise UnwritableError("too short for an array")
    (length,) = _LENGTH.unpack_from(data, _TEXT - _LENGTH.size)
    try:
        header = ast.literal_eval(data[_TEXT : _TEXT + length].decode("latin-1"))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise UnwritableError(str(error)) from error
    if isinstance(header, dict) and isinstance(header.get("shape"), tuple):
        header["shape"] = list(header["shape"])
    return {"version": data[len(_MAGIC) : len(_MAGIC) + 2], "header": header, "data": data[_TEXT + length :]}


def _together(tree: Tree) -> bytes:
    parts = {"version": b"\1\0", "header": {}, "data": b"", **(tree if isinstance(tree, dict) else {})}
    header = parts["header"]
    if isinstance(header, dict) and isinstance(header.get("shape"), list):
        header = {**header, "shape": tuple(header["shape"])}
    try:
        text = (repr(header) + "\n").encode("latin-1")
    except (UnicodeEncodeError, ValueError) as error:
        raise UnwritableError(str(error)) from error
    if len(text) > _LENGTH_MAX:
        raise UnwritableError("the header is too long")
    version, data = (part if isinstance(part, bytes) else b"" for part in (parts["version"], parts["data"]))
    return _MAGIC + version + _LENGTH.pack(len(text)) + text + data


def _write(samples: list[Sample]) -> bytes:
    return _bytes(torch.cat([x for (x,) in samples]).numpy())


TARGET = Target(
    name="npy",
    seeds=lambda: [_bytes(np.ones((1, 3, 4), np.float32)), _bytes(np.ones((2, 3, 4), np.float64, order="F"))],
    errors=(ValueError,),
    read=lambda data: read_samples(as_file(data, "samples.npy"), INPUTS, ""),
    write=_write,
    apart=_apart,
    together=_together,
)
