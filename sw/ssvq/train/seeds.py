"""Seeds that are a function of what they are for, so that training keeps no state of a random generator."""

from __future__ import annotations

from hashlib import blake2b

import torch


def derived_seed(*parts: int | str) -> int:
    """A seed in 0..2**63 - 1 for a purpose, as `derived_seed(seed, "order", epoch)`; equal parts, equal seed."""
    digest = blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(*parts: int | str) -> torch.Generator:
    """A random generator on the CPU with the `derived_seed` of the parts."""
    return torch.Generator().manual_seed(derived_seed(*parts))
