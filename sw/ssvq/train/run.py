"""A whole run of a recipe: load, prepare, train, evaluate, and write what comes out."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from torch import nn

from ssvq.quantize.rules import select_layers
from ssvq.train.checkpoint import Checkpoint, CheckpointFolder
from ssvq.train.compression import compress
from ssvq.train.display import Display
from ssvq.train.interrupt import Interrupt
from ssvq.train.loading import file_digests, load_settled
from ssvq.train.loop import evaluate, log_columns, train
from ssvq.train.processes import Processes
from ssvq.train.recipe import Recipe
from ssvq.train.results import Results, write_results
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
        brief: whether only the final model is evaluated.
        display: for the user.
    """

    recipe: Recipe
    trainer: Trainer
    checkpoints: CheckpointFolder
    resumed: Checkpoint | None
    before: dict[str, dict[str, float]]
    brief: bool
    display: Display


def set_up(
    recipe: Recipe, processes: Processes, *, fresh: bool = False, brief: bool = False, console: Console | None = None
) -> Run:
    """Load everything, find what is wrong with it, and compress the model as far as that needs no training.

    Args:
        recipe: settings.
        processes: which train together.
        fresh: begin anew, even if there are checkpoints; `finish` removes them.
        brief: evaluate the final model only, not those before it.
        console: for progress and notes; the standard error stream's when None.

    Raises:
        ValueError: something does not fit; the text names value and rule. Bad data, checkpoints and settings have
            subclasses of their own.
        ImportError, RuntimeError: a package or data set is not there; the text says what to do.
        OSError: a file cannot be read or removed.
    """
    display = Display((console or Console(stderr=True)) if processes.is_first else Console(quiet=True))
    rules = [rule.rule(seed=recipe.training.seed) for rule in recipe.rules]
    model = load_settled(recipe.model, recipe.training.seed)
    chosen = select_layers(model, rules)
    distillation = recipe.distillation if recipe.distillation and recipe.distillation.enabled else None
    task = make_task(recipe.data, model, distillation=distillation, seed=recipe.training.seed)
    checkpoints = _checkpoints(recipe, task)
    resumed = None if fresh else checkpoints.latest()
    model = model.to(processes.device)
    teacher: nn.Module | None = None
    if distillation is not None:
        own = distillation.teacher
        teacher = copy.deepcopy(model) if own is None else load_settled(own, recipe.training.seed).to(processes.device)
        teacher = teacher.eval().requires_grad_(False)
    before: dict[str, dict[str, float]] = {} if resumed is None else resumed.state["extra"]["before"]
    if resumed is None and not brief:
        with display.doing("evaluate the float model"):
            before["float"] = task.evaluate(model, teacher, processes)
        display.metrics("float model", before["float"])
    if rules:
        compress(
            model,
            task,
            rules,
            settings=recipe.calibration,
            device=processes.device,
            display=display,
            with_ranges=resumed is None,
        )
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
    elif chosen and not brief:
        with display.doing("evaluate the compressed model"):
            before["start"] = evaluate(trainer)
        display.metrics("compressed, before training", before["start"])
    return Run(
        recipe=recipe,
        trainer=trainer,
        checkpoints=checkpoints,
        resumed=resumed,
        before=before,
        brief=brief,
        display=display,
    )


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
        if run.resumed is None:
            run.checkpoints.clear()
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


def _checkpoints(recipe: Recipe, task: Task) -> CheckpointFolder:
    """The folder for this configuration: settings, and what they stand for."""
    configuration: dict[str, Any] = recipe.numbers() | task.facts() | file_digests("model", recipe.model)
    if recipe.distillation is not None and recipe.distillation.teacher is not None:
        configuration |= file_digests("teacher", recipe.distillation.teacher)
    return CheckpointFolder(recipe.folder / CHECKPOINTS_NAME, configuration=configuration, keep=recipe.output.keep)
