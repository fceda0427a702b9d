"""What is remembered of the signs of one latent tensor, in two bytes per sign, written only where a sign flips.

Signs s are +1 or -1; s(0) is the initial one, s(t) the one after the t-th optimizer step. The forward pass of step t
used s(t - 1), so that the signs that count by step t are s(0) .. s(t - 1).
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

VOTE_FOLD_STEPS = 1024
VOTE_MAX = 2**15 - 1 - 2 * VOTE_FOLD_STEPS
"""Largest lead of one sign that is counted. Between two folds a stored count strays at most 2 * `VOTE_FOLD_STEPS`."""


class DecayingSum:
    """Sums that decay by m = 1 - 1 / window in every step, x(t) = m * x(t - 1) + amount(t), as float16 (n,).

    Stored is y = x(t) * m^-(t - base), which changes only where an amount is added. Every `window` steps, before the
    factor passes e, all are decayed at once and `base` moves on. Divided by the window, a sum of flips is their
    exponential moving average.

    Attributes:
        values: y, float16 (n,).
        base: step from which the factor counts.
    """

    def __init__(self, count: int, window: int, device: torch.device) -> None:
        self.values = torch.zeros(count, dtype=torch.float16, device=device)
        self.base = 0
        self._window = window

    def _decay(self, step: int) -> float:
        """m^(step - base)."""
        return float((1 - 1 / self._window) ** (step - self.base))

    def advance(self, step: int) -> None:
        """Begin a step, before amounts are added to it."""
        if step - self.base >= self._window:
            self.values.mul_(self._decay(step))
            self.base = step

    def add(self, index: Tensor, amount: Tensor | float, step: int) -> None:
        """Add an amount, a number or (i,), to the sums at `index`, int64 (i,) without repeats."""
        added = self.values.index_select(0, index).add_(amount / self._decay(step))
        self.values.index_copy_(0, index, added)

    def at(self, index: Tensor, step: int) -> Tensor:
        """The sums x(step) at `index`: float32 (i,)."""
        return self.values.index_select(0, index).float() * self._decay(step)

    def above(self, threshold: float, step: int, out: Tensor) -> Tensor:
        """Whether x(step) > threshold, into the bool tensor `out` (n,)."""
        return torch.gt(self.values, threshold / self._decay(step), out=out)

    def clear(self, index: Tensor) -> None:
        """Set the sums at `index` to 0."""
        self.values.index_fill_(0, index, 0.0)


class SignMemory(Protocol):
    """What decides at which sign a sign freezes. `values` is None where nothing is stored.

    `sign` and what `choose` returns are the signs at `index` as +1 and -1, int16 (i,).
    """

    values: Tensor | None
    base: int

    def advance(self, negative: Tensor, step: int) -> None:
        """Begin a step, with bit 0 of the uint8 tensor `negative` (n,) telling the signs before it."""

    def flip(self, index: Tensor, sign: Tensor, step: int) -> None:
        """Note that the signs at `index`, which were `sign`, flip in this step."""

    def choose(self, index: Tensor, sign: Tensor, step: int) -> Tensor:
        """Where signs that now are `sign` freeze."""


class LatestSign:
    """Freezes a sign where it is; stores nothing."""

    def __init__(self) -> None:
        self.values: Tensor | None = None
        self.base = 0

    def advance(self, negative: Tensor, step: int) -> None:
        """Nothing to do."""

    def flip(self, index: Tensor, sign: Tensor, step: int) -> None:
        """Nothing to do."""

    def choose(self, index: Tensor, sign: Tensor, step: int) -> Tensor:
        """The signs as they are."""
        return sign


class MajorityVote:
    """Freezes a sign at the majority of the signs it has had, or where it is on a tie.

    The votes V(t) = s(0) + .. + s(t - 1) are stored as v = V(t) - s(t) * (t - base), which stays the same while a sign
    does: both terms change by s. A flip from s to -s adds 2 * s * (t - base). Every `VOTE_FOLD_STEPS` steps `base`
    moves on, and a lead beyond `VOTE_MAX` is cut to it. So the majority is exact for 2 * VOTE_MAX = 61,438 steps; in
    longer runs a sign needs no more than `VOTE_MAX` steps to outvote all that it has had before.

    Attributes:
        values: v, int16 (n,).
        base: step from which the stored votes count.
    """

    def __init__(self, count: int, device: torch.device) -> None:
        self.values: Tensor | None = None
        self.votes = self.values = torch.zeros(count, dtype=torch.int16, device=device)
        self.base = 0

    def advance(self, negative: Tensor, step: int) -> None:
        """Begin a step, with bit 0 of the uint8 tensor `negative` (n,) telling the signs before it."""
        elapsed = step - self.base
        if elapsed >= VOTE_FOLD_STEPS:
            # V(step) does not depend on s(step): whether a sign flips in this step makes no difference
            self.votes.add_(signs(negative), alpha=elapsed).clamp_(-VOTE_MAX, VOTE_MAX)
            self.base = step

    def flip(self, index: Tensor, sign: Tensor, step: int) -> None:
        """Note that the signs at `index`, which were `sign`, flip in this step."""
        self.votes.index_copy_(0, index, self.votes.index_select(0, index).add_(sign, alpha=2 * (step - self.base)))

    def choose(self, index: Tensor, sign: Tensor, step: int) -> Tensor:
        """The majority of the signs at `index`."""
        lead = self.votes.index_select(0, index).add_(sign, alpha=step - self.base)
        return torch.where(lead == 0, sign, lead.sign())


class SignAverage:
    """Freezes a sign at the sign of its exponential moving average, or where it is when that is 0.

    The average E(t) = m * E(t - 1) + (1 - m) * s(t - 1), E(0) = s(0), differs from the sign by D(t) = E(t) - s(t).
    That decays by m while a sign stays, and a flip from s to -s adds 2 * s: D is a `DecayingSum`.

    Attributes:
        values, base: of D.
    """

    def __init__(self, count: int, window: int, device: torch.device) -> None:
        self._difference = DecayingSum(count, window, device)
        self.values: Tensor | None = self._difference.values

    @property
    def base(self) -> int:
        """Step from which the factor of D counts."""
        return self._difference.base

    @base.setter
    def base(self, step: int) -> None:
        self._difference.base = step

    def advance(self, negative: Tensor, step: int) -> None:
        """Begin a step."""
        self._difference.advance(step)

    def flip(self, index: Tensor, sign: Tensor, step: int) -> None:
        """Note that the signs at `index`, which were `sign`, flip in this step."""
        self._difference.add(index, 2.0 * sign, step)

    def choose(self, index: Tensor, sign: Tensor, step: int) -> Tensor:
        """The signs of the averages at `index`."""
        average = self._difference.at(index, step) + sign
        return torch.where(average == 0, sign, average.sign().to(torch.int16))


def signs(negative: Tensor) -> Tensor:
    """Bit 0 of a uint8 tensor, 1 = negative, as signs +1 and -1, int16 of the same shape."""
    return 1 - 2 * (negative & 1).to(torch.int16)
