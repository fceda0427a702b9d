"""One training run as numbers: what a step does, and the state from which it goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ssvq.train.freezing import FreezeConfig, FreezeVariant, SignFreezer
from ssvq.train.parameter_groups import learning_rate_factor, parameter_groups
from ssvq.train.precision import matmul_precision
from ssvq.train.prepare import latent_signs
from ssvq.train.processes import Processes
from ssvq.train.seeds import derived_seed
from ssvq.train.settings import OptimizerSettings, TrainingSettings
from ssvq.train.tasks.task import Batch, Task

LOSS = "loss"


class TrainingError(RuntimeError):
    """Training cannot go on; the text says at which step and why."""


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What a step did.

    Attributes:
        losses: means over the batch of all processes, by name, and their sum as "loss".
        learning_rate: share of the highest.
        gradient_norm: before clipping; None without clipping.
        stop: whether a process asked to stop.
    """

    losses: dict[str, float]
    learning_rate: float
    gradient_norm: float | None
    stop: bool


class Trainer:
    """A model that learns a task.

    Every process computes its part of each batch, and the gradient is that of the mean over the whole batch. torch's
    generator is seeded anew for each step, so that there is none whose state would have to be kept.

    Args:
        model: prepared and calibrated; or a float model, which is trained as it is. Goes to the processes' device.
        task: what is learned.
        optimizer, training: settings.
        freezing: of the latent signs, if the model has any that learn; None only counts their flips.
        processes: which train together.
        teacher: for distillation; goes to the device, too.

    Members:
        model: the model itself, without the wrapper of data parallelism.
        step: steps that are done.
        total_steps: of the whole run.
        freezer: companion of the optimizer; None without latent signs, or steps.

    Raises:
        ValueError: nothing learns, there are more processes than samples in a batch, or as `SignFreezer`.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        *,
        optimizer: OptimizerSettings,
        training: TrainingSettings,
        freezing: FreezeConfig | None,
        processes: Processes,
        teacher: nn.Module | None = None,
    ) -> None:
        if task.batch_size < processes.part.count:
            raise ValueError(f"data.batch_size must be at least the {processes.part.count} processes")
        self.model, self.task, self.processes = model, task, processes
        self.teacher = None if teacher is None else teacher.to(processes.device).eval()
        self.step = 0
        self.total_steps = training.total_steps(task.steps_per_epoch)
        self._optimizer_settings, self._training = optimizer, training
        self._groups = parameter_groups(model.to(processes.device), optimizer)
        # rates are set before each step; the fused forms differ between devices, this one is the plain loop
        adam = torch.optim.AdamW(self._groups, betas=optimizer.betas, eps=optimizer.epsilon)
        self._wrapped, self._optimizer = processes.prepare(model, adam)
        self._latents: dict[str, Tensor] = {
            name: latent for name, latent in latent_signs(model).items() if latent.requires_grad
        }
        self.freezer: SignFreezer | None = None
        if self._latents and self.total_steps:
            settings = FreezeConfig(variant=FreezeVariant.NONE) if freezing is None else freezing
            # after the wrapper, which has given all processes the first one's values
            self.freezer = SignFreezer(self._latents, settings, self.total_steps)

    def advance(self, batch: Batch, *, wants_stop: Callable[[], bool] = lambda: False) -> StepReport:
        """Do one step with this process's part of a batch.

        Args:
            batch: on any device.
            wants_stop: whether all processes should stop after this step, asked when this one's work is done.

        Raises:
            TrainingError: a loss or gradient is not finite; the parameters are as before the step.
        """
        settings, rank = self._training, self.processes.part.rank
        torch.manual_seed(derived_seed(settings.seed, "step", self.step, rank))
        factor = learning_rate_factor(self._optimizer_settings, self.step, self.total_steps)
        for group, own in zip(self._optimizer.param_groups, self._groups, strict=True):
            group["lr"] = own["lr"] * factor
        self._wrapped.train()
        self._optimizer.zero_grad()
        with matmul_precision(settings.matmul):
            sums = self._backward(batch)
        *losses, stops = self.processes.total(torch.cat((sums, sums.new_tensor([float(wants_stop())])))).tolist()
        means = {name: loss / self.task.batch_size for name, loss in zip(self.task.loss_names, losses, strict=True)}
        means[LOSS] = sum(means.values())
        self._require_finite(means[LOSS], "the loss")
        norm: float | None = None
        if self._optimizer_settings.clip_norm is not None:
            limit = self._optimizer_settings.clip_norm
            norm = float(self.processes.accelerator.clip_grad_norm_(self._wrapped.parameters(), limit))
            self._require_finite(norm, "the gradient")
        self._optimizer.step()
        if self.freezer is not None:
            self.freezer.step()
        self.step += 1
        return StepReport(losses=means, learning_rate=factor, gradient_norm=norm, stop=stops > 0)

    def _backward(self, batch: Batch) -> Tensor:
        """Gradients of a process's part of a batch; the sums of its losses, in the order of `loss_names`."""
        sums = torch.zeros(len(self.task.loss_names), dtype=torch.float32, device=self.processes.device)
        pieces = list(self._pieces(batch))
        for number, piece in enumerate(pieces):
            last = number == len(pieces) - 1
            with nullcontext() if last else self.processes.accelerator.no_sync(self._wrapped):
                losses = self.task.losses(self._wrapped, self.teacher, piece)
                parts = torch.stack([losses[name].sum() for name in self.task.loss_names])
                # processes' gradients are averaged, and each has a sum over its part
                self.processes.accelerator.backward(parts.sum() * (self.processes.part.count / self.task.batch_size))
            sums += parts.detach()
        return sums

    def _pieces(self, batch: Batch) -> Iterator[Batch]:
        size = math.ceil(len(batch[0]) / self._training.accumulate)
        for piece in zip(*(torch.split(tensor, size) for tensor in batch), strict=True):
            yield tuple(tensor.to(self.processes.device, non_blocking=True) for tensor in piece)

    def _require_finite(self, value: float, what: str) -> None:
        if not math.isfinite(value):
            raise TrainingError(
                f"{what} is {value} at step {self.step + 1}: lower the learning rates, or set optimizer.clip_norm"
            )

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs, for `ssvq.train.state_file`; tensors are not copied.

        The same in all processes.
        """
        self.processes.average_statistics(self.model)
        moments = {
            name: dict(self._optimizer.state[parameter])
            for group in self._groups
            for name, parameter in zip(group["names"], group["params"], strict=True)
            if parameter in self._optimizer.state
        }
        freezer = None if self.freezer is None else self.freezer.state_dict()
        return {"step": self.step, "model": self.model.state_dict(), "moments": moments, "freezer": freezer}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where `state_dict` was called.

        Raises:
            ValueError: the state is that of another model or other settings.
        """
        try:
            self.model.load_state_dict(state["model"])
        except RuntimeError as error:
            raise ValueError(f"checkpoint must be that of this model: {str(error).splitlines()[0]}") from error
        own = self._optimizer.state_dict()
        names = [name for group in self._groups for name in group["names"]]
        moments = {number: state["moments"][name] for number, name in enumerate(names) if name in state["moments"]}
        self._optimizer.load_state_dict({"state": moments, "param_groups": own["param_groups"]})
        if self.freezer is not None:
            self.freezer.load_state_dict(state["freezer"])
        self.step = int(state["step"])

    def require_equal_signs(self) -> None:
        """Check that the frozen signs are those of the other processes.

        Raises:
            TrainingError: they are not; the text names a layer.
        """
        if self.freezer is None or self.processes.part.count == 1:
            return
        found = self.processes.gather(
            torch.tensor([_checksum(latent, self.freezer.frozen(name)) for name, latent in self._latents.items()])
        )
        differs = (found != found[:1]).any(0).tolist()
        if any(differs):
            name = next(name for name, wrong in zip(self._latents, differs, strict=True) if wrong)
            raise TrainingError(f"frozen signs of {name} differ between processes after step {self.step}")


def _checksum(latent: Tensor, frozen: Tensor) -> int:
    """63 bits of a hash of which signs are frozen, and at what."""
    signs = torch.lt(latent.detach(), 0) & frozen
    state = (frozen.to(torch.uint8) * 2 + signs.to(torch.uint8)).cpu().numpy()
    return derived_seed(state.tobytes().hex())
