"""Holding out a part of a set of texts, the same part whatever the order and the rest of the set."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import torch
from torch import Tensor

_HASH_BYTES = 8


def held_out(texts: Sequence[str], *, fraction: float, seed: int = 0) -> Tensor:
    """Which texts are held out: bool (N,), about `fraction` of them True. Equal texts fall on the same side.

    Raises:
        ValueError: the fraction is not in 0..1.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction must be in 0..1, not {fraction!r}")
    key = str(seed).encode()
    limit = fraction * 2.0 ** (8 * _HASH_BYTES)
    hashes = (blake2b(text.encode(), digest_size=_HASH_BYTES, key=key).digest() for text in texts)
    return torch.tensor([int.from_bytes(digest, "big") < limit for digest in hashes], dtype=torch.bool)
