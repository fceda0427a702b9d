"""Data sets of images: IDX in gzip."""

from __future__ import annotations

import gzip
import math

import torch
from torch import Tensor

from ssvq.data.errors import DataFileError
from ssvq.data.idx import read_idx

from ..scratch import as_file
from ..target import Target, Tree, UnwritableError

_DIMENSIONS = 2
_WORD = (1 << 32) - 1


def _bytes(array: Tensor) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(bytes((0, 0, 8, array.ndim)) + sizes + array.numpy().tobytes(), mtime=0)


def _apart(data: bytes) -> Tree:
    try:
        content = gzip.decompress(data)
    except Exception as error:  # of three modules
        raise UnwritableError(str(error)) from error
    sizes = [int.from_bytes(content[at : at + 4], "big") for at in range(4, 4 + 4 * _DIMENSIONS, 4)]
    return {"start": content[:4], "sizes": sizes, "data": content[4 + 4 * _DIMENSIONS :]}


def _together(tree: Tree) -> bytes:
    parts = {"start": b"", "sizes": [], "data": b"", **(tree if isinstance(tree, dict) else {})}
    sizes = parts["sizes"] if isinstance(parts["sizes"], list) else []
    numbers = [size & _WORD for size in sizes if isinstance(size, int)]
    start, data = (part if isinstance(part, bytes) else b"" for part in (parts["start"], parts["data"]))
    return gzip.compress(start + b"".join(size.to_bytes(4, "big") for size in numbers) + data, mtime=0)


TARGET = Target(
    name="idx",
    seeds=lambda: [_bytes(torch.arange(math.prod((3, 4)), dtype=torch.uint8).view(3, 4))],
    errors=(DataFileError,),
    read=lambda data: read_idx(as_file(data, "array.gz"), dimensions=_DIMENSIONS),
    write=_bytes,
    apart=_apart,
    together=_together,
)
