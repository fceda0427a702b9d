"""N:M masks: of every `group` consecutive input channels of a weight, `keep` are kept.

A mask is bool (N, P, Kpad). Exactly `keep` of every group are True. Channels of the padding are kept only in a group
that has fewer than `keep` real channels, and then its first ones; so equal choices have one mask.

A group's mask is stored as the number of its pattern: patterns of `keep` bits out of `group`, channel i as bit i, in
ascending order of their value (the combinatorial number system). That takes ceil(log2(C(group, keep))) bits.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from ssvq.quantize.description import padded, to_rows
from ssvq.quantize.formats import GROUP_MAX, require_pattern
from ssvq.quantize.importance import expand_importance
from ssvq.quantize.packing import pack_bits, unpack_bits


def pattern_bits(keep: int, group: int) -> int:
    """Bits of a group's pattern number, ceil(log2(C(group, keep)))."""
    return (math.comb(group, keep) - 1).bit_length()


def choose_mask(
    weight: Tensor, keep: int, group: int, vector_dim: int, *, importance: Tensor | None = None, groups: int = 1
) -> Tensor:
    """The mask that keeps the `keep` largest `importance * weight^2` of every group; of equal ones the first.

    Args:
        weight: float32, canonical, (N, K) or (N, K, kh, kw).
        keep, group: 1 <= keep < group <= 16.
        vector_dim: d, a multiple of `group`.
        importance, groups: as in `expand_importance`; None counts all weights alike.

    Returns:
        bool (N, P, Kpad).

    Raises:
        TypeError, ValueError: an argument is not so.
    """
    require_pattern(keep, group, vector_dim)
    rows = to_rows(weight)
    order = rows.abs()  # not the square, which is zero for the smallest weights
    if importance is not None:
        order = order * expand_importance(importance, weight, groups).sqrt()
    width = padded(rows.shape[2], vector_dim)
    order = torch.nn.functional.pad(order, (0, width - rows.shape[2]), value=-1.0)
    order = order.reshape(*order.shape[:2], -1, group)
    kept = order.argsort(dim=-1, descending=True, stable=True)[..., :keep]
    return torch.zeros_like(order, dtype=torch.bool).scatter_(-1, kept, True).flatten(2)


def mask_problem(mask: Tensor, keep: int, group: int, channels: int) -> str | None:
    """What is wrong with a mask (N, P, Kpad) of K = `channels` input channels; None when nothing is."""
    groups = mask.view(*mask.shape[:2], -1, group)
    if not bool((groups.sum(-1) == keep).all()):
        return f"must keep {keep} of every {group} channels"
    real = torch.arange(mask.shape[2], device=mask.device).view(-1, group) < channels
    missing = (keep - real.sum(-1, keepdim=True)).clamp(min=0)
    allowed = (~real).cumsum(-1) <= missing
    if bool((groups & ~real & ~allowed).any()):
        return "must keep channels of the padding only in place of real ones that are missing, the first of them"
    return None


def pack_mask(mask: Tensor, keep: int, group: int) -> Tensor:
    """The pattern numbers of a mask's groups, in row-major order, packed by `pack_bits`: uint8.

    Args:
        mask: bool, a multiple of `group` values; exactly `keep` of each group are True.
        keep, group: 1 <= keep < group <= 16.

    Raises:
        ValueError: another number than `keep` of a group are True.
    """
    _, numbers = _patterns(keep, group)
    place = torch.arange(group, dtype=torch.int32, device=mask.device)
    found = numbers.to(mask.device)[(mask.view(-1, group).to(torch.int32) << place).sum(-1)]
    if bool((found < 0).any()):
        raise ValueError(f"mask must keep {keep} of every {group} values")
    return pack_bits(found, pattern_bits(keep, group))


def unpack_mask(packed: Tensor, keep: int, group: int, count: int) -> Tensor:
    """Inverse of `pack_mask`: bool (count,), `count` a multiple of `group`.

    Raises:
        ValueError: wrong number of bytes, a number that no pattern has, or unused bits that are not zero.
    """
    patterns, _ = _patterns(keep, group)
    numbers = unpack_bits(packed, pattern_bits(keep, group), count // group).to(torch.int64)
    if bool((numbers >= patterns.numel()).any()):
        raise ValueError(f"must hold pattern numbers below {patterns.numel()}, not {int(numbers.max())}")
    place = torch.arange(group, dtype=torch.int32, device=packed.device)
    return ((patterns.to(packed.device)[numbers][:, None] >> place) & 1).to(torch.bool).flatten()


@lru_cache(maxsize=GROUP_MAX * GROUP_MAX)
def _patterns(keep: int, group: int) -> tuple[Tensor, Tensor]:
    """int32 patterns (C,) in their order, and int16 number of every pattern (2^group,); -1 for those that are none."""
    values = torch.arange(1 << group, dtype=torch.int32)
    ones = sum(((values >> place) & 1 for place in range(group)), torch.zeros_like(values))
    patterns = values[ones == keep]
    numbers = torch.full((1 << group,), -1, dtype=torch.int16)
    numbers[patterns.to(torch.int64)] = torch.arange(patterns.numel(), dtype=torch.int16)
    return patterns, numbers
