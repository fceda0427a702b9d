"""Classification of labelled images, distillation of a teacher's outputs on images, and both together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssvq.train.processes import Part, Processes
from ssvq.train.settings import DistillationSettings
from ssvq.train.tasks.hidden_states import outputs_of, relative_error
from ssvq.train.tasks.image_metrics import ERROR, LABELS, TEACHER
from ssvq.train.tasks.image_sources import ImageSource
from ssvq.train.tasks.task import Batch, epoch_order, require_batches


class ImageTask:
    """A `Task` on batches of (images (B, C, H, W), labels (B,)); a model gives logits (B, classes), or any outputs.

    Args:
        source: of the images.
        batch_size: samples of a training step.
        seed: of order and views.
        distillation: None learns the labels alone.
        hidden_layers: names of the blocks whose outputs are compared, where `distillation` gives them a weight.

    Raises:
        ValueError: there are fewer training images than a batch has, images have no labels to learn, or there are no
            blocks although their weight is not 0.
    """

    def __init__(
        self,
        source: ImageSource,
        *,
        batch_size: int,
        seed: int,
        distillation: DistillationSettings | None,
        hidden_layers: Sequence[str] = (),
    ) -> None:
        self.steps_per_epoch = require_batches(source.train_count, batch_size)
        if not source.labelled and (distillation is None or distillation.weight < 1):
            raise ValueError("images without labels need the section [distillation] with weight = 1")
        hidden = distillation is not None and distillation.hidden_weight > 0
        if hidden and not hidden_layers:
            raise ValueError("distillation.hidden_weight must be 0 for a model without numbered blocks")
        self._hidden = tuple(hidden_layers) if hidden else ()
        self.batch_size = batch_size
        self._source, self._seed, self._distillation = source, seed, distillation
        labels = distillation is None or distillation.weight < 1
        parts = {"label": labels, "teacher": distillation is not None, "hidden": hidden}
        self.loss_names: tuple[str, ...] = tuple(name for name, there in parts.items() if there)
        self._metrics = LABELS if source.labelled else TEACHER
        if distillation is not None and distillation.loss == "mse":
            self._metrics = ERROR
        self.metric_names = self._metrics.names

    def facts(self) -> dict[str, Any]:
        """See `Task`."""
        return {"training images": self._source.train_count, "evaluation images": self._source.evaluation_count}

    def batches(self, epoch: int, part: Part, *, first: int = 0) -> Iterator[Batch]:
        """See `Task`."""
        order = epoch_order(self._source.train_count, self.batch_size, self._seed, epoch)
        return self._source.training(order, epoch=epoch, first=first, part=part)

    def calibration(self, count: int) -> Iterator[Batch]:
        """See `Task`."""
        size = min(self._source.evaluation_batch_size, self._source.train_count)
        order = epoch_order(self._source.train_count, size, self._seed, 0)[:count]
        return self._source.training(order, epoch=0, first=0, part=Part())

    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """See `Task`."""
        return (batch[0],)

    def losses(self, student: nn.Module, teacher: nn.Module | None, batch: Batch) -> dict[str, Tensor]:
        """See `Task`.

        Raises:
            ValueError: there must be a teacher, and is none.
        """
        images, labels = batch
        about = self._distillation
        with outputs_of(student, self._hidden) as states:
            outputs = student(images)
        if about is None:
            return {"label": functional.cross_entropy(outputs, labels, reduction="none")}
        teacher = _required(teacher)
        with torch.no_grad(), outputs_of(teacher, self._hidden) as target_states:
            targets = teacher(images)
        losses = {"teacher": about.weight * _distance(outputs, targets, about)}
        if about.weight < 1:
            losses["label"] = (1 - about.weight) * functional.cross_entropy(outputs, labels, reduction="none")
        if self._hidden:
            errors = [relative_error(states[name], target_states[name]) for name in self._hidden]
            losses["hidden"] = about.hidden_weight * torch.stack(errors).mean(0)
        return losses

    @torch.no_grad()
    def evaluate(self, model: nn.Module, teacher: nn.Module | None, processes: Processes) -> dict[str, float]:
        """See `Task`, and `ssvq.train.tasks.image_metrics` for the metrics."""
        names = self._metrics.names
        sums = torch.zeros(len(names) + 1, dtype=torch.float64)
        training = model.training
        model.eval()
        for images, labels in self._source.evaluation(processes.part):
            images = images.to(processes.device)
            wanted = _required(teacher)(images) if self._metrics.of_teacher else labels.to(processes.device)
            sums += self._metrics.sums(model(images), wanted).cpu()
        model.train(training)
        *totals, divisor = processes.total(sums).tolist()
        return {name: total / divisor for name, total in zip(names, totals, strict=True)}


def _required(teacher: nn.Module | None) -> nn.Module:
    if teacher is None:
        raise ValueError("distillation must have a teacher")
    return teacher


def _distance(outputs: Tensor, targets: Tensor, about: DistillationSettings) -> Tensor:
    """(B,) of outputs and the teacher's, (B, classes), or (B, ...) of any meaning."""
    if about.loss == "mse":
        return (outputs - targets).square().flatten(1).mean(1)
    warm, warm_targets = ((logits / about.temperature).log_softmax(1) for logits in (outputs, targets))
    divergence = functional.kl_div(warm, warm_targets, reduction="none", log_target=True).sum(1)
    return divergence * about.temperature**2  # keeps the gradient's size as the temperature changes
