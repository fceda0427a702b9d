"""The history of the signs of one latent tensor: which flipped, which are frozen and at which sign."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ssvq.train.freeze_schedule import FreezeVariant
from ssvq.train.sign_memory import DecayingSum, LatestSign, MajorityVote, SignAverage, SignMemory, signs

NEGATIVE, INITIAL, FROZEN = 1, 2, 4
"""Bits of a flag: the sign is negative, it was negative at the start, it is frozen."""

State = dict[str, Tensor | int]


class SignHistory:
    """Tracks the signs of one latent tensor, with work in proportion to the flips but for one comparison of all signs.

    A latent is negative where it is below 0: 0 and -0 are positive. Of five bytes per sign, one holds the flags, two
    the average of its flips and two the memory of its signs; `FINAL` has no memory, `NONE` no average either.

    Args:
        latents: floating point (n,), read for the initial signs and not kept. Every later call gets the tensor of the
            same n latents, and changes it in place.
        variant: whether signs freeze, and at which sign.
        window: steps over which flips are averaged.
    """

    def __init__(self, latents: Tensor, variant: FreezeVariant, window: int) -> None:
        count, device = latents.numel(), latents.device
        self.flips = self.flips_total = 0
        self._flags = torch.lt(latents, 0).to(torch.uint8).mul_(NEGATIVE | INITIAL)
        self._flip_sum = None if variant is FreezeVariant.NONE else DecayingSum(count, window, device)
        self._memory: SignMemory
        if variant is FreezeVariant.MAJORITY:
            self._memory = MajorityVote(count, device)
        elif variant is FreezeVariant.AVERAGE:
            self._memory = SignAverage(count, window, device)
        else:
            self._memory = LatestSign()

    def observe(self, latents: Tensor, step: int, scratch: Tensor) -> None:
        """Note the flips of an optimizer step, and put frozen signs back that it carried across zero.

        Args:
            latents: (n,), changed in place.
            step: number of the step, one more than in the call before; the first is 1.
            scratch: bool (n,), overwritten.
        """
        if self._flip_sum is not None:
            self._flip_sum.advance(step)
        self._memory.advance(self._flags, step)
        torch.lt(latents, 0, out=scratch)
        scratch.view(torch.uint8).bitwise_xor_(self._flags).bitwise_and_(NEGATIVE)
        index = _nonzero(scratch)
        self.flips = index.numel()
        if not self.flips:
            return
        before = self._flags.index_select(0, index)
        frozen = before.bitwise_and(FROZEN) != 0
        _set_signs(latents, index[frozen], signs(before[frozen]))

        index, before = index[~frozen], before[~frozen]
        self._flags.index_copy_(0, index, before.bitwise_xor(NEGATIVE))
        if self._flip_sum is not None:
            self._flip_sum.add(index, 1.0, step)
        self._memory.flip(index, signs(before), step)
        self.flips = index.numel()
        self.flips_total += self.flips

    def freeze(self, latents: Tensor, threshold_flips: float, step: int, scratch: Tensor) -> None:
        """Freeze the signs with more flips per window than the threshold. Follows `observe` of the same step.

        Args:
            latents: (n,); where a sign freezes at the other sign than it has, the latent is changed in place.
            threshold_flips: in flips per window.
            step: number of the step.
            scratch: bool (n,), overwritten.
        """
        if self._flip_sum is None:
            return
        index = _nonzero(self._flip_sum.above(threshold_flips, step, scratch))
        now = signs(self._flags.index_select(0, index))
        frozen_at = self._memory.choose(index, now, step)
        changed = now != frozen_at
        _set_signs(latents, index[changed], frozen_at[changed])

        flags = self._flags.index_select(0, index).bitwise_or_(FROZEN)
        self._flags.index_copy_(0, index, flags.bitwise_xor_(changed.to(torch.uint8).mul_(NEGATIVE)))
        # a frozen sign adds no flips, so that from here on it stays below every threshold
        self._flip_sum.clear(index)

    def frozen(self) -> Tensor:
        """Which signs are frozen: bool (n,)."""
        return self._flags.bitwise_and(FROZEN) != 0

    def changed(self) -> Tensor:
        """Which signs differ from their initial sign: bool (n,)."""
        return (self._flags ^ (self._flags >> 1)).bitwise_and_(NEGATIVE) != 0

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of the state by name; changing them changes the state."""
        kept = {"flags": self._flags}
        if self._flip_sum is not None:
            kept["flip_sum"] = self._flip_sum.values
        if self._memory.values is not None:
            kept["memory"] = self._memory.values
        return kept

    def state_dict(self) -> State:
        """All of the state: the tensors of `tensors`, not copied, and numbers."""
        return {
            **self.tensors(),
            "flip_sum_base": 0 if self._flip_sum is None else self._flip_sum.base,
            "memory_base": self._memory.base,
            "flips": self.flips,
            "flips_total": self.flips_total,
        }

    def check_state(self, state: State, latents: Tensor) -> None:
        """Raise ValueError unless `load_state_dict` can take `state`, and it belongs to the latents (n,)."""
        own = self.state_dict()
        if state.keys() != own.keys():
            raise ValueError(f"must hold {sorted(own)}, not {sorted(state)}")
        for name, value in own.items():
            found = state[name]
            if isinstance(value, int):
                if isinstance(found, bool) or not isinstance(found, int):
                    raise ValueError(f"{name} must be an int, not {found!r}")
            elif not isinstance(found, Tensor) or (found.dtype, found.shape) != (value.dtype, value.shape):
                what = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else repr(found)
                raise ValueError(f"{name} must be {value.dtype} {tuple(value.shape)}, not {what}")
        flags = state["flags"]
        if isinstance(flags, Tensor):
            differ = int((torch.lt(latents, 0) != (flags.to(latents.device) & NEGATIVE)).sum())
            if differ:
                raise ValueError(f"must be of the same step as the latents, but {differ} signs differ")

    def load_state_dict(self, state: State) -> None:
        """Continue from what `state_dict` gave. Check it first with `check_state`."""
        for name, tensor in self.tensors().items():
            tensor.copy_(torch.as_tensor(state[name]))
        if self._flip_sum is not None:
            self._flip_sum.base = int(state["flip_sum_base"])
        self._memory.base = int(state["memory_base"])
        self.flips, self.flips_total = int(state["flips"]), int(state["flips_total"])


def _nonzero(mask: Tensor) -> Tensor:
    """Where a bool tensor (n,) is True: int64 (i,), ascending."""
    if mask.is_cpu:
        # took a third of the time of PyTorch's own for few hits among ten million
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.nonzero()[:, 0]


def _set_signs(latents: Tensor, index: Tensor, sign: Tensor) -> None:
    """Give the latents (n,) at `index` a sign of +1 or -1, (i,), at unchanged magnitude, or the smallest normal one."""
    magnitude = latents.index_select(0, index).abs_().clamp_min_(torch.finfo(latents.dtype).tiny)
    latents.index_copy_(0, index, magnitude.mul_(sign))
