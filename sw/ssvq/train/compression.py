"""From a float model to the compressed one that training starts from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from ssvq.quantize.rules import Rule, select_layers
from ssvq.train.calibrate import calibrate, second_moments
from ssvq.train.display import Display
from ssvq.train.prepare import TrainConfig, prepare
from ssvq.train.settings import CalibrationSettings
from ssvq.train.tasks.task import Batch, Task

EXAMPLES = 2
"""Samples with which a model is traced; of one, torch.export takes the number of samples to be always one."""


def compress(
    model: nn.Module,
    task: Task,
    rules: Sequence[Rule[TrainConfig]],
    *,
    settings: CalibrationSettings,
    device: torch.device,
    display: Display,
    with_ranges: bool = True,
) -> None:
    """Prepare and calibrate a model in place, the same in all processes.

    Args:
        model: float, on the device.
        task: has the samples to look at.
        rules: which layers are compressed, and how.
        settings: how much to look at.
        device: where to compute.
        display: shows progress.
        with_ranges: False only prepares, for a model whose state will be loaded.

    Raises:
        ValueError: as `ssvq.train.prepare.prepare` and `ssvq.train.calibrate.calibrate`.
    """

    def batches() -> Iterator[Batch]:
        for batch in task.calibration(settings.batches):
            yield tuple(tensor.to(device) for tensor in batch)

    def forward(module: nn.Module, batch: Batch) -> object:
        return module(*task.inputs(batch))

    importance = None
    if settings.input_importance and with_ranges:
        layers = {name: layer for name, (layer, _) in select_layers(model, rules).items()}
        importance = second_moments(model, layers, batches(), forward)
    prepare(
        model,
        rules,
        example_inputs=tuple(tensor[:EXAMPLES] for tensor in task.inputs(next(batches()))),
        importance=importance,
        progress=display.console.is_terminal,
        console=display.console,
    )
    if with_ranges:
        calibrate(model, batches(), forward)
