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
_PIECE_BYTES = 1 << 20
BYTES_MAX = 1 << 28
"""Of a decompressed file, of which a short file can promise any number; five times those of Fashion-MNIST's largest."""


def read_idx(path: Path, *, dimensions: int) -> Tensor:
    """The array in a file: uint8 of its shape.

    Args:
        path: the compressed file.
        dimensions: how many the array must have.

    Raises:
        DataFileError: the file cannot be read, is not of this format or length, has another number of dimensions, or is
            longer than `BYTES_MAX`.
    """
    try:
        content = _decompressed(path)
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


def _decompressed(path: Path) -> bytes:
    """In pieces, as a read makes room for all that it may be given. Raises DataFileError beyond `BYTES_MAX`."""
    content = bytearray()
    with gzip.open(path) as file:
        while piece := file.read(_PIECE_BYTES):
            content += piece
            if len(content) > BYTES_MAX:
                raise DataFileError(f"{path} must have at most {BYTES_MAX} bytes when it is decompressed")
    return bytes(content)
