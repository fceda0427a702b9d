"""Progressive freezing of learned signs, as a companion of the optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ssvq.quantize.formats import require_int
from ssvq.train.freeze_schedule import STEPS_MAX, FreezeConfig, FreezeSchedule, FreezeVariant
from ssvq.train.sign_history import SignHistory

__all__ = ["FreezeConfig", "FreezeSchedule", "FreezeStats", "FreezeVariant", "SignFreezer", "SignStats"]


@dataclass(frozen=True, kw_only=True)
class SignStats:
    """Counts of the signs of one latent tensor, or of all.

    Attributes:
        signs: number of signs.
        flips: signs that the optimizer flipped in the latest step, without those that are frozen.
        flips_total: the same in all steps.
        changed: signs that differ from their initial sign.
        frozen: signs that are frozen.
    """

    signs: int
    flips: int
    flips_total: int
    changed: int
    frozen: int

    @property
    def flip_rate(self) -> float:
        """Share of the signs that flipped in the latest step."""
        return self.flips / self.signs

    @property
    def changed_share(self) -> float:
        """Share of the signs that differ from their initial sign."""
        return self.changed / self.signs

    @property
    def frozen_share(self) -> float:
        """Share of the signs that are frozen."""
        return self.frozen / self.signs


@dataclass(frozen=True, kw_only=True)
class FreezeStats:
    """Counts after a step: of every latent tensor by its name, and of all together."""

    step: int
    layers: dict[str, SignStats]
    total: SignStats


class SignFreezer:
    """Freezes the signs that flip often, one interval after the other, until few are left to move.

    A weight's sign is that of its latent, negative where the latent is below 0. Call `step` after every step of the
    optimizer. Every `FreezeSchedule.interval` steps it freezes the signs whose flip rate is above the threshold; a
    latent whose sign is frozen may move on, but is put back on its side of zero. Without randomness: equal latents on
    all ranks of data-parallel training stay equal.

    The state takes five bytes per sign, and one more for the largest tensor as working memory.

    Args:
        latents: the latents by name, floating point, contiguous, each a tensor of its own; changed in place. Parameters
            that the optimizer updates in place, on any device.
        config: settings.
        total_steps: optimizer steps of the whole run. Later steps count as the last.

    Raises:
        TypeError: `total_steps` is no int, or a latent is not floating point.
        ValueError: no latents; one is empty, not contiguous, holds NaN or is given twice; or as `FreezeSchedule`.
    """

    def __init__(self, latents: Mapping[str, Tensor], config: FreezeConfig, total_steps: int) -> None:
        self._schedule = FreezeSchedule(config=config, total_steps=total_steps)
        if not latents:
            raise ValueError("latents must not be empty")
        self._latents = dict(latents)
        self._step = 0
        names: dict[tuple[torch.device, int], str] = {}
        for name, latent in self._latents.items():
            if not latent.is_floating_point():
                raise TypeError(f"{name}: latents must be floating point, not {latent.dtype}")
            if not latent.numel():
                raise ValueError(f"{name}: latents must not be empty, shape {tuple(latent.shape)}")
            first = names.setdefault((latent.device, latent.data_ptr()), name)
            if first != name:
                raise ValueError(f"{name}: latents must be given once, but are those of {first}")
        self._require_numbers()
        self._histories = {
            name: SignHistory(self._flat(name), config.variant, self._schedule.window) for name in self._latents
        }
        largest: dict[torch.device, int] = {}
        for latent in self._latents.values():
            largest[latent.device] = max(latent.numel(), largest.get(latent.device, 0))
        self._scratch = {device: torch.empty(n, dtype=torch.bool, device=device) for device, n in largest.items()}

    @property
    def schedule(self) -> FreezeSchedule:
        """Interval, window and threshold of this run."""
        return self._schedule

    @property
    def steps_done(self) -> int:
        """Calls of `step` so far."""
        return self._step

    def step(self) -> None:
        """Follow a step of the optimizer: count flips, put frozen signs back, and freeze when it is time.

        Raises:
            ValueError: a latent is NaN (looked for once per interval), no longer contiguous, or on another device than
                at the start. The text names the layer; nothing has been changed.
        """
        step = self._step + 1
        if step % self._schedule.interval == 0:
            self._require_numbers()
        flat = {name: self._flat(name) for name in self._latents}
        due = self._schedule.is_due(step)
        for name, history in self._histories.items():
            latents = flat[name]
            scratch = self._scratch[latents.device][: latents.numel()]
            history.observe(latents, step, scratch)
            if due:
                history.freeze(latents, self._schedule.threshold_flips(step), step, scratch)
        self._step = step

    def frozen(self, name: str) -> Tensor:
        """Which signs of one latent tensor are frozen: bool of its shape."""
        return self._histories[name].frozen().view(self._latents[name].shape)

    def state_bytes(self) -> int:
        """Bytes of all that is held beside the latents, working memory included."""
        kept = [tensor for history in self._histories.values() for tensor in history.tensors().values()]
        return sum(tensor.nbytes for tensor in (*kept, *self._scratch.values()))

    def stats(self) -> FreezeStats:
        """Counts after the latest step. Takes a pass over all flags."""
        layers = {
            name: SignStats(
                signs=self._latents[name].numel(),
                flips=history.flips,
                flips_total=history.flips_total,
                changed=int(history.changed().sum()),
                frozen=int(history.frozen().sum()),
            )
            for name, history in self._histories.items()
        }
        fields = ("signs", "flips", "flips_total", "changed", "frozen")
        total = SignStats(**{field: sum(getattr(layer, field) for layer in layers.values()) for field in fields})
        return FreezeStats(step=self._step, layers=layers, total=total)

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs: tensors, not copied, strings and numbers."""
        return {
            "step": self._step,
            "total_steps": self._schedule.total_steps,
            "config": self._schedule.config.to_dict(),
            "layers": {name: history.state_dict() for name, history in self._histories.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue exactly where `state_dict` was called. Load the latents of that step before.

        Raises:
            TypeError, ValueError: another config, number of steps, names or shapes, or signs that are not those of the
                latents; nothing has been changed.
        """
        own = self.state_dict()
        if state.keys() != own.keys():
            raise ValueError(f"state must hold {sorted(own)}, not {sorted(state)}")
        for field in ("config", "total_steps"):
            if state[field] != own[field]:
                raise ValueError(f"{field} must be that of the state, {state[field]}, not {own[field]}")
        step = require_int("step", state["step"], 0, STEPS_MAX)
        if state["layers"].keys() != own["layers"].keys():
            differ = sorted(state["layers"].keys() ^ own["layers"].keys())
            raise ValueError(f"layers must be those of the state; only one of both has {differ}")
        for name, history in self._histories.items():
            try:
                history.check_state(state["layers"][name], self._flat(name))
            except ValueError as error:
                raise ValueError(f"{name}: state {error}") from None
        for name, history in self._histories.items():
            history.load_state_dict(state["layers"][name])
        self._step = step

    def _flat(self, name: str) -> Tensor:
        """The latents of a layer as (n,), sharing memory and without gradient."""
        latent = self._latents[name].detach()
        if not latent.is_contiguous():
            raise ValueError(f"{name}: latents must be contiguous, not of stride {latent.stride()}")
        return latent.view(-1)

    def _require_numbers(self) -> None:
        for name, latent in self._latents.items():
            values = latent.detach()
            # the sum takes a fifth of the time of a mask; it is NaN too for infinities of both signs
            if bool(values.sum().isnan()) and bool(values.isnan().any()):
                raise ValueError(f"{name}: latents must be numbers, but {int(values.isnan().sum())} are NaN")
