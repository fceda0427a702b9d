"""The training loop: when to step, log, evaluate, keep a checkpoint, and stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch

from ssvq.train.checkpoint import CheckpointFolder
from ssvq.train.deploy import deployed
from ssvq.train.display import Display
from ssvq.train.freezing import FreezeStats
from ssvq.train.interrupt import Interrupt
from ssvq.train.settings import TrainingSettings
from ssvq.train.trainer import LOSS, StepReport, Trainer
from ssvq.train.training_log import TrainingLog

EVALUATION = "evaluation/"
SIGN_COLUMNS = ("sign_flip_rate", "signs_changed", "signs_frozen")


def log_columns(trainer: Trainer) -> tuple[str, ...]:
    """Names of the numbers that `train` logs."""
    return (
        *("epoch", "seconds", LOSS, *trainer.task.loss_names, "learning_rate", "gradient_norm"),
        *(SIGN_COLUMNS if trainer.freezer is not None else ()),
        *(f"{EVALUATION}{name}" for name in trainer.task.metric_names),
    )


@dataclass
class Window:
    """Sums since the last row of the log.

    Attributes:
        steps: in the window.
        losses: sums of the losses of its steps, by name.
        flips: of signs, in all steps before the window.
        seconds: of training in all steps before, in earlier runs too.
    """

    steps: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    flips: int = 0
    seconds: float = 0.0

    def add(self, report: StepReport) -> None:
        """Count a step."""
        self.steps += 1
        for name, loss in report.losses.items():
            self.losses[name] = self.losses.get(name, 0.0) + loss

    def row(self, trainer: Trainer, report: StepReport) -> dict[str, float]:
        """Means over the window, which ends."""
        row = {name: total / self.steps for name, total in self.losses.items()}
        row |= {"epoch": trainer.step / trainer.task.steps_per_epoch, "learning_rate": report.learning_rate}
        if report.gradient_norm is not None:
            row["gradient_norm"] = report.gradient_norm
        if trainer.freezer is not None:
            row |= self._signs(trainer.freezer.stats())
        self.steps, self.losses = 0, {}
        return row

    def _signs(self, stats: FreezeStats) -> dict[str, float]:
        total = stats.total
        flipped = (total.flips_total - self.flips) / (total.signs * self.steps)
        self.flips = total.flips_total
        return dict(zip(SIGN_COLUMNS, (flipped, total.changed_share, total.frozen_share), strict=True))


@torch.no_grad()
def evaluate(trainer: Trainer) -> dict[str, float]:
    """Metrics of the model as it would run on the core; see `ssvq.train.deploy`."""
    trainer.processes.average_statistics(trainer.model)
    model = deployed(trainer.model).to(trainer.processes.device)
    return trainer.task.evaluate(model, trainer.teacher, trainer.processes)


def train(
    trainer: Trainer,
    *,
    settings: TrainingSettings,
    checkpoints: CheckpointFolder | None = None,
    log: TrainingLog | None = None,
    display: Display | None = None,
    interrupt: Interrupt | None = None,
    window: Mapping[str, Any] | None = None,
    extra_state: Mapping[str, Any] | None = None,
    after_step: Callable[[Trainer], None] | None = None,
) -> bool:
    """Train up to the last step, from wherever the trainer is.

    Of several processes, all call this; the first one alone has a log and a display, and writes checkpoints.

    Args:
        trainer: at its first step, or with a state loaded.
        settings: those of the trainer.
        checkpoints: where to keep them; None keeps none.
        log: has the columns `log_columns`.
        display: shows progress.
        interrupt: when it has noted a signal, training stops after the step, with a checkpoint.
        window: what `restored_window` has found in a checkpoint.
        extra_state: goes into checkpoints as it is.
        after_step: is called after every step, before its checkpoint.

    Returns:
        True at the last step, False when it was interrupted before.

    Raises:
        TrainingError: as `Trainer.advance` and `Trainer.require_equal_signs`.
        OSError: a file cannot be written.
    """
    sums = Window(**(window or {}))
    begin = time.monotonic() - sums.seconds
    per_epoch = trainer.task.steps_per_epoch
    part = trainer.processes.part
    while trainer.step < trainer.total_steps:
        epoch, first = divmod(trainer.step, per_epoch)
        for batch in trainer.task.batches(epoch, part, first=first):
            report = trainer.advance(batch, wants_stop=lambda: interrupt is not None and interrupt.signal is not None)
            sums.add(report)
            sums.seconds = time.monotonic() - begin
            if display is not None:
                display.step(trainer.step, report)
            if after_step is not None:
                after_step(trainer)
            step, last = trainer.step, trainer.step == trainer.total_steps
            row: dict[str, float] = {}
            if last or step % settings.log_steps == 0:
                row = sums.row(trainer, report) | {"seconds": sums.seconds}
            if not last and step % (settings.evaluate_steps or per_epoch) == 0:
                with nullcontext() if display is None else display.doing("evaluate"):
                    metrics = evaluate(trainer)
                row |= {f"{EVALUATION}{name}": value for name, value in metrics.items()}
                if display is not None:
                    display.metrics(f"step {step}", metrics)
            if row and log is not None:
                log.write(step, row)
            if checkpoints is not None and (last or report.stop or step % settings.checkpoint_steps == 0):
                trainer.require_equal_signs()
                state = {"trainer": trainer.state_dict(), "window": vars(sums), "extra": dict(extra_state or {})}
                if trainer.processes.is_first:
                    checkpoints.save(step, state)
            if last or report.stop:
                return last
    return True
