"""A whole run of a recipe: load, prepare, train, evaluate, and write what comes out."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from rich.console import Console
from torch import nn

from ssvq.models.registry import load_model
from ssvq.quantize.rules import select_layers
from ssvq.train.calibrate import calibrate, second_moments
from ssvq.train.checkpoint import Checkpoint, CheckpointFolder
from ssvq.train.display import Display
from ssvq.train.interrupt import Interrupt
from ssvq.train.loop import evaluate, log_columns, train
from ssvq.train.prepare import prepare
from ssvq.train.processes import Processes
from ssvq.train.recipe import Recipe
from ssvq.train.results import Results, write_results
from ssvq.train.seeds import derived_seed
from ssvq.train.settings import ModelSettings
from ssvq.train.tasks.factory import make_task
from ssvq.train.tasks.task import Task
from ssvq.train.trainer import Trainer
from ssvq.train.training_log import TrainingLog

CHECKPOINTS_NAME = "checkpoints"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that is ready to train.

    Attributes:
        recipe: its settings.
        trainer: at the step where it goes on.
        checkpoints: its checkpoints.
        resumed: the one from which it goes on, or None.
        before: metrics of the float model, and of the compressed one before training, by the name of the model.
        display: for the user.
    """

    recipe: Recipe
    trainer: Trainer
    checkpoints: CheckpointFolder
    resumed: Checkpoint | None
    before: dict[str, dict[str, float]]
    display: Display


def set_up(recipe: Recipe, processes: Processes, *, fresh: bool = False, console: Console | None = None) -> Run:
    """Load everything, find what is wrong with it, and compress the model as far as that needs no training.

    Args:
        recipe: settings.
        processes: which train together.
        fresh: begin anew, even if there is a checkpoint.
        console: for progress and notes; the standard error stream's when None.

    Raises:
        ValueError: something does not fit; the text names value and rule. Bad data, checkpoints and settings have
            subclasses of their own.
        ImportError, RuntimeError: a package or data set is not there; the text says what to do.
        OSError: a file cannot be read or removed.
    """
    display = Display((console or Console(stderr=True)) if processes.is_first else Console(quiet=True))
    rules = [rule.rule(seed=recipe.training.seed) for rule in recipe.rules]
    model = _load(recipe.model, recipe.training.seed)
    chosen = select_layers(model, rules)
    distillation = recipe.distillation if recipe.distillation and recipe.distillation.enabled else None
    task = make_task(recipe.data, model, distillation=distillation, seed=recipe.training.seed)
    checkpoints = _checkpoints(recipe, task)
    if fresh and processes.is_first:
        checkpoints.clear()
    processes.wait()
    resumed = checkpoints.latest()
    model = model.to(processes.device)
    teacher: nn.Module | None = None
    if distillation is not None:
        own = distillation.teacher
        teacher = copy.deepcopy(model) if own is None else _load(own, recipe.training.seed).to(processes.device)
        teacher = teacher.eval().requires_grad_(False)
    before: dict[str, dict[str, float]] = {} if resumed is None else resumed.state["extra"]["before"]
    if resumed is None:
        before["float"] = task.evaluate(model, teacher, processes)
        display.metrics("float model", before["float"])
    if rules:
        _compress(recipe, model, task, processes, display, calibrated=resumed is not None)
    trainer = Trainer(
        model,
        task,
        optimizer=recipe.optimizer,
        training=recipe.training,
        freezing=recipe.freezing,
        processes=processes,
        teacher=teacher,
    )
    if resumed is not None:
        trainer.load_state_dict(resumed.state["trainer"])
        display.note(f"goes on after step {resumed.step} of {trainer.total_steps}")
        for path in resumed.ignored:
            display.note(f"{path} is not whole and was left out")
    elif chosen:
        before["start"] = evaluate(trainer)
        display.metrics("compressed, before training", before["start"])
    return Run(recipe=recipe, trainer=trainer, checkpoints=checkpoints, resumed=resumed, before=before, display=display)


def finish(run: Run, interrupt: Interrupt | None = None) -> Results | None:
    """Train to the last step and write the results.

    Returns:
        The results; None when a signal has stopped training, after a checkpoint.

    Raises:
        TrainingError: a loss is not finite, or processes differ.
        OSError: a file cannot be written.
    """
    trainer, recipe, processes = run.trainer, run.recipe, run.trainer.processes
    log = None
    if processes.is_first:
        recipe.folder.mkdir(parents=True, exist_ok=True)
        log = TrainingLog(recipe.folder, log_columns(trainer), step=trainer.step, tensorboard=recipe.output.tensorboard)
        if recipe.output.tensorboard and not log.has_tensorboard:
            run.display.note("tensorboard is not installed: logs go to metrics.csv only")
    try:
        with run.display.bar(trainer.total_steps, done=trainer.step):
            complete = train(
                trainer,
                settings=recipe.training,
                checkpoints=run.checkpoints,
                log=log,
                display=run.display,
                interrupt=interrupt,
                window=None if run.resumed is None else run.resumed.state["window"],
                extra_state={"before": run.before},
            )
    finally:
        if log is not None:
            log.close()
    return write_results(run) if complete else None


def _load(settings: ModelSettings, seed: int) -> nn.Module:
    """A model whose parameters are finite."""
    torch.manual_seed(derived_seed(seed, "model"))
    options = dict(settings.options)
    if settings.checkpoint is not None:
        options["checkpoint"] = settings.checkpoint
    model = load_model(settings.name, options=options)
    _freeze(model, settings.frozen)
    for name, values in [*model.named_parameters(), *model.named_buffers()]:
        wrong = int((~torch.isfinite(values)).sum())
        if wrong:
            raise ValueError(f"{settings.name}: {name} must be finite, {wrong} of {values.numel()} values are not")
    return model


def _freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Keep the parameters whose names match from learning, in place."""
    for pattern in patterns:
        chosen = [parameter for name, parameter in model.named_parameters() if fnmatchcase(name, pattern)]
        if not chosen:
            raise ValueError(f"model.frozen matches no parameter: {pattern!r}")
        for parameter in chosen:
            parameter.requires_grad_(False)


def _checkpoints(recipe: Recipe, task: Task) -> CheckpointFolder:
    """The folder for this configuration: settings, and what they stand for."""
    configuration: dict[str, Any] = recipe.numbers() | task.facts()
    models = {"model": recipe.model, "teacher": recipe.distillation.teacher if recipe.distillation else None}
    for name, settings in models.items():
        if settings is not None and settings.checkpoint is not None:
            contents = hashlib.sha256(settings.checkpoint.read_bytes()).hexdigest()
            configuration[f"contents of the {name}'s checkpoint"] = contents[:16]
    return CheckpointFolder(recipe.folder / CHECKPOINTS_NAME, configuration=configuration, keep=recipe.output.keep)


def _compress(
    recipe: Recipe, model: nn.Module, task: Task, processes: Processes, display: Display, *, calibrated: bool
) -> None:
    """Prepare a model in place, and calibrate it unless its state will be loaded."""
    rules = [rule.rule(seed=recipe.training.seed) for rule in recipe.rules]

    def batches() -> Any:
        for batch in task.calibration(recipe.calibration.batches):
            yield tuple(tensor.to(processes.device) for tensor in batch)

    def forward(module: nn.Module, batch: Any) -> object:
        return module(*task.inputs(batch))

    importance = None
    if recipe.calibration.input_importance and not calibrated:
        layers = {name: layer for name, (layer, _) in select_layers(model, rules).items()}
        importance = second_moments(model, layers, batches(), forward)
    example = task.inputs(next(batches()))
    result = prepare(
        model,
        rules,
        example_inputs=tuple(tensor[:2] for tensor in example),
        importance=importance,
        progress=display.console.is_terminal,
        console=display.console,
    )
    padded = [
        layer for layer in result.layers.values() if layer.vector_dim and layer.weight_shape[1] % layer.vector_dim
    ]
    for layer in padded:
        display.note(
            f"{layer.name}: {layer.weight_shape[1]} input channels are padded to a multiple of "
            f"vector_dim {layer.vector_dim}; the padding is stored"
        )
    if not calibrated:
        calibrate(model, batches(), forward)
