"""Dense packing of small integers: the first value in the least significant bits of the first byte."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def packed_bytes(count: int, width: int) -> int:
    """Bytes that `count` values of `width` bits take."""
    return -(-count * width // 8)


def pack_bits(values: Tensor, width: int) -> Tensor:
    """Integers in 0..2^width-1, or bools with width 1, as uint8 (ceil(count * width / 8),), least significant first."""
    flat = values.flatten().numpy().astype(np.uint16)
    bits = ((flat[:, None] >> np.arange(width, dtype=np.uint16)) & 1).astype(np.uint8)
    return torch.from_numpy(np.packbits(bits.reshape(-1), bitorder="little"))


def unpack_bits(packed: Tensor, width: int, count: int) -> Tensor:
    """Inverse of `pack_bits`: int16 (count,). Width is at most 15.

    Raises:
        ValueError: wrong number of bytes, or bits after the last value are not zero.
    """
    if packed.numel() != packed_bytes(count, width):
        raise ValueError(f"must be {packed_bytes(count, width)} bytes, not {packed.numel()}")
    bits = np.unpackbits(packed.numpy(), bitorder="little")
    if bits[count * width :].any():
        raise ValueError("must have zeros in the unused bits of the last byte")
    values = np.zeros(count, dtype=np.int16)
    for position in range(width):
        values |= bits[position : count * width : width].astype(np.int16) << position
    return torch.from_numpy(values)
