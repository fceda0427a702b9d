"""Carrying out one run: train or reconstruct, convert, measure."""

from __future__ import annotations

import copy
import csv
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

from ssvq.accuracy.measure import measure
from ssvq.accuracy.store import Outcome
from ssvq.accuracy.study import Reconstruction, Run
from ssvq.container import save
from ssvq.evaluate.estimate import Estimate
from ssvq.train.checkpoint import CheckpointMismatchError
from ssvq.train.convert import compressed_layers
from ssvq.train.deploy import deployed
from ssvq.train.interrupt import Interrupt
from ssvq.train.parameter_groups import ParameterKind, parameter_kinds
from ssvq.train.prepare import prepared_layers
from ssvq.train.processes import Processes
from ssvq.train.recipe import Recipe
from ssvq.train.reconstruct import reconstruct
from ssvq.train.results import WEIGHTS_NAME
from ssvq.train.run import Run as PreparedRun
from ssvq.train.run import finish, set_up
from ssvq.train.tables import read_table
from ssvq.train.trainer import Trainer
from ssvq.train.training_log import CSV_NAME


class InterruptedRunError(Exception):
    """A signal has stopped training, after a checkpoint from which the same call goes on."""


def execute(
    run: Run, *, work: Path, checkpoint: Path | None, processes: Processes, console: Console, interrupt: Interrupt
) -> Outcome:
    """Carry out a run.

    Args:
        run: what to do.
        work: folder for the run's own files; it keeps training checkpoints until the run is done.
        checkpoint: weights that the run starts from.
        processes: this one alone.
        console: for progress and notes.
        interrupt: notes signals.

    Raises:
        InterruptedRunError: as said there.
        ValueError, RuntimeError, OSError: as `ssvq.train.run`.
    """
    start = time.process_time()
    table = copy.deepcopy(dict(run.table))
    table["output"] = {"folder": str(work), "tensorboard": False, "keep": 1}
    if checkpoint is not None:
        table["model"] = {**table["model"], "checkpoint": str(checkpoint)}
    prepared = begin(read_table(Recipe, table, ""), work, processes, console)
    if run.reconstruction is not None:
        _reconstruct(prepared.trainer, run.reconstruction, console)
    results = finish(prepared, interrupt)
    if results is None:
        raise InterruptedRunError
    model = prepared.trainer.model
    further = measure(run.family, deployed(model), prepared.trainer.teacher)
    estimates = {name: found for name, found in further.items() if isinstance(found, Estimate)}
    plain = {name: found for name, found in further.items() if not isinstance(found, Estimate)}
    bits, ratio = _sizes(model, work / "container.ssvq")
    return Outcome(
        digest=run.digest(),
        metrics=results.metrics["final"] | plain | {name: found.value for name, found in estimates.items()},
        errors={name: found.standard_error for name, found in estimates.items()},
        bits_per_weight=bits,
        file_ratio=ratio,
        seconds=time.process_time() - start,
        curve=_curve(work / CSV_NAME),
    )


def keep_weights(work: Path, target: Path) -> None:
    """Move the trained weights of a run to where later runs find them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    (work / WEIGHTS_NAME).replace(target)


def discard(work: Path) -> None:
    """Remove a run's files."""
    shutil.rmtree(work, ignore_errors=True)


def begin(recipe: Recipe, work: Path, processes: Processes, console: Console) -> PreparedRun:
    """Set up to go on where a run was stopped, or from the start where it was begun with settings of before."""
    try:
        return set_up(recipe, processes, brief=True, console=console)
    except CheckpointMismatchError:
        discard(work)
        return set_up(recipe, processes, brief=True, console=console)


def _reconstruct(trainer: Trainer, settings: Reconstruction, console: Console) -> None:
    if trainer.teacher is None:
        raise ValueError("reconstruction needs a teacher: add the section [distillation]")
    batches = list(trainer.task.calibration(settings.batches))

    def forward(model: nn.Module, batch: Any) -> object:
        return model(*trainer.task.inputs(batch))

    reconstruct(
        trainer.model,
        trainer.teacher,
        settings.blocks,
        batches,
        forward,
        make_optimizer=_adam(settings),
        steps=settings.steps,
        progress=console.is_terminal,
        console=console,
    )


def _adam(settings: Reconstruction) -> Callable[[nn.Module], torch.optim.Optimizer]:
    def make(block: nn.Module) -> torch.optim.Optimizer:
        parameters = dict(block.named_parameters())
        kinds = parameter_kinds(block)
        signs = [parameters[name] for name, kind in kinds.items() if kind is ParameterKind.SIGN]
        others = [parameters[name] for name, kind in kinds.items() if kind is not ParameterKind.SIGN]
        groups: list[dict[str, Any]] = [{"params": signs, "lr": settings.sign_learning_rate}, {"params": others}]
        return torch.optim.Adam([group for group in groups if group["params"]], lr=settings.learning_rate)

    return make


def _sizes(model: nn.Module, path: Path) -> tuple[float, float]:
    """Stored bits of a weight, and how many times smaller the container file is than the layers in float32."""
    if not prepared_layers(model):
        return 32.0, 1.0
    layers = compressed_layers(model).values()
    save(path, layers)
    floats = sum(layer.weight_count + (0 if layer.bias is None else layer.bias.numel()) for layer in layers)
    bits = sum(layer.storage_bits for layer in layers) / sum(layer.weight_count for layer in layers)
    return bits, 4 * floats / path.stat().st_size


def _curve(path: Path) -> dict[str, list[float | None]]:
    """Columns of a training log."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = rows[0].keys() if rows else ()
    return {name: [float(row[name]) if row[name] else None for row in rows] for name in names}
