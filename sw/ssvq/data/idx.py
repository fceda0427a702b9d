"""IDX, the format of MNIST and its successors: a big-endian header and unsigned bytes, compressed with gzip."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import torch
from torch import Tensor

from ssvq.data.errors import DataFileError

_UNSIGNED_BYTE = 8
_WORD = 4


def read_idx(path: Path, *, dimensions: int) -> Tensor:
    """The array in a file: uint8 of its shape.

    Args:
        path: the compressed file.
        dimensions: how many the array must have.

    Raises:
        DataFileError: the file cannot be read, is not of this format or length, or has another number of dimensions.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataFileError(f"{path} cannot be read as gzip: {error}") from error
    header = (1 + dimensions) * _WORD
    start = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if content[:_WORD] != start:
        raise DataFileError(f"{path} must start with {start.hex()}, not {content[:_WORD].hex()}")
    if len(content) < header:
        raise DataFileError(f"{path} must have a header of {header} bytes, not {len(content)}")
    shape = [int.from_bytes(content[at : at + _WORD], "big") for at in range(_WORD, header, _WORD)]
    if len(content) != header + math.prod(shape):
        expected = header + math.prod(shape)
        raise DataFileError(f"{path} must have {expected} bytes for the shape {shape}, not {len(content)}")
    # a copy, since the bytes are read-only
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)[header:].reshape(shape)
