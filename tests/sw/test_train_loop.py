"""Training runs in one process: what they compute, and that they go on after a break as if there had been none."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import pytest
import safetensors.torch
import torch
from tiny_training import SSVQ_RULE, STEPS_PER_EPOCH, ready, write_recipe
from torch import Tensor, nn

from ssvq.container import load
from ssvq.train.convert import compressed_layers
from ssvq.train.interrupt import Interrupt
from ssvq.train.loop import evaluate, train
from ssvq.train.results import CONTAINER_NAME, RESULT_NAME, WEIGHTS_NAME
from ssvq.train.run import Run, finish
from ssvq.train.trainer import Trainer, TrainingError
from ssvq.train.training_log import CSV_NAME

RULES = {
    "ssvq": SSVQ_RULE + "learn_activation_scale = true\n",
    "vq": SSVQ_RULE.replace('"ssvq"', '"vq"'),
    "int4": '[[rules]]\npattern = "*"\nformat = "int4"\nclip = "mse"\n',
    "float": "",
}
STEPS = 3 * STEPS_PER_EPOCH


class Killed(BaseException):
    """Ends a run at any place."""


def _rows(folder: Path) -> list[dict[str, str]]:
    """The log without its times."""
    with (folder / CSV_NAME).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(float(row.pop("seconds") or 0) >= 0 for row in rows)
    return rows


def _outcome(folder: Path) -> tuple[dict[str, Tensor], object, list[dict[str, str]]]:
    weights = safetensors.torch.load_file(folder / WEIGHTS_NAME)
    return weights, json.loads((folder / RESULT_NAME).read_text())["metrics"], _rows(folder)


def _kill_after(run: Run, step: int) -> None:
    """Train up to a step, and end in the middle of the next."""
    losses = run.trainer.task.losses

    def killing(student: nn.Module, teacher: nn.Module | None, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        if run.trainer.step == step:
            raise Killed
        return losses(student, teacher, batch)

    run.trainer.task.losses = killing  # type: ignore[method-assign]
    with pytest.raises(Killed):
        finish(run)


@pytest.mark.parametrize("format", RULES)
def test_a_run_that_is_killed_and_goes_on_gives_the_same_numbers(format: str, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, rules=RULES[format])
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    options = ["model.options.norm=true"]
    assert finish(ready(recipe, *options, f"output.folder={whole}")) is not None
    torch.manual_seed(99)  # what else a process does with torch's generator must not matter
    options.append(f"output.folder={broken}")
    _kill_after(ready(recipe, *options), 3)  # the checkpoint before is of step 2
    _kill_after(ready(recipe, *options), 9)  # in the third epoch
    run = ready(recipe, *options)
    assert run.resumed is not None
    assert run.trainer.step == 8
    assert finish(run) is not None
    weights, metrics, rows = _outcome(broken)
    expected_weights, expected_metrics, expected_rows = _outcome(whole)
    assert weights.keys() == expected_weights.keys()
    assert all(torch.equal(value, expected_weights[name]) for name, value in weights.items())
    assert metrics == expected_metrics
    assert rows == expected_rows
    assert [int(row["step"]) for row in rows] == list(range(2, STEPS + 1, 2))
    if format != "float":
        assert (whole / CONTAINER_NAME).read_bytes() == (broken / CONTAINER_NAME).read_bytes()


def test_training_learns_and_freezes(tmp_path: Path) -> None:
    run = ready(write_recipe(tmp_path), "training.epochs=12")
    results = finish(run)
    assert results is not None
    assert set(results.metrics) == {"float", "start", "simulated", "final"}
    assert results.metrics["final"]["accuracy"] > results.metrics["start"]["accuracy"] + 0.3
    rows = _rows(tmp_path / "out")
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) - 0.1
    assert float(rows[-1]["signs_changed"]) > 0.01
    assert run.trainer.freezer is not None
    assert float(rows[-1]["signs_frozen"]) == run.trainer.freezer.stats().total.frozen_share
    evaluated = [int(row["step"]) for row in rows if row["evaluation/accuracy"]]
    assert evaluated == list(range(STEPS_PER_EPOCH, 12 * STEPS_PER_EPOCH, STEPS_PER_EPOCH))
    report = json.loads((tmp_path / "out" / RESULT_NAME).read_text())
    assert report["metrics"] == results.metrics
    assert report["settings"]["training"]["epochs"] == 12


def test_the_container_has_the_trained_layers(tmp_path: Path) -> None:
    run = ready(write_recipe(tmp_path))
    finish(run)
    stored = load(tmp_path / "out" / CONTAINER_NAME)
    for name, layer in compressed_layers(run.trainer.model).items():
        assert torch.equal(stored[name].module_weight(), layer.module_weight())
        assert stored[name].input_scale == layer.input_scale


def test_a_complete_run_is_not_trained_again(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    first = finish(ready(recipe))
    run = ready(recipe)
    assert run.trainer.step == STEPS
    again = finish(run)
    assert again == first
    fresh = ready(recipe, "training.steps=0", fresh=True)
    assert fresh.trainer.step == 0
    assert list((tmp_path / "out" / "checkpoints").iterdir())  # until it is clear that nothing is wrong
    finish(fresh)
    assert not list((tmp_path / "out" / "checkpoints").iterdir())


def test_no_step_is_compression_without_training(tmp_path: Path) -> None:
    run = ready(write_recipe(tmp_path), "training.steps=0")
    results = finish(run)
    assert results is not None
    assert results.metrics["final"] == results.metrics["start"]
    assert run.trainer.freezer is None


def test_activations_in_floating_point_are_evaluated_as_they_are(tmp_path: Path) -> None:
    results = finish(ready(write_recipe(tmp_path), "rules.0.activations=float", "training.steps=2"))
    assert results is not None
    assert "simulated" not in results.metrics
    assert set(load(tmp_path / "out" / CONTAINER_NAME)) == {"0", "3", "7"}


def _gradients(recipe: Path, *overrides: str) -> dict[str, Tensor]:
    trainer = ready(recipe, "optimizer.clip_norm=1e9", "distillation.weight=0.5", *overrides).trainer
    trainer.model.get_submodule("5").p = 0.0  # dropout's numbers depend on how a batch is cut
    trainer.advance(next(trainer.task.batches(0, trainer.processes.part)))
    return {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}


def test_parts_of_a_batch_add_up(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    whole, parts = _gradients(recipe), _gradients(recipe, "training.accumulate=3")
    assert whole.keys() == parts.keys()
    for name, gradient in whole.items():
        assert torch.allclose(gradient, parts[name], rtol=1e-4, atol=1e-7), name


def test_a_signal_stops_after_the_step_with_a_checkpoint(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    run = ready(recipe)
    with Interrupt() as interrupt:
        settings = run.recipe.training

        def press(trainer: Trainer) -> None:
            if trainer.step == 3:
                signal.raise_signal(signal.SIGTERM)

        complete = train(
            run.trainer, settings=settings, checkpoints=run.checkpoints, interrupt=interrupt, after_step=press,
            extra_state={"before": run.before},
        )  # fmt: skip
        assert not complete
        assert interrupt.signal == signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # a second one ends the process
    assert run.trainer.step == 4  # the signal came after step 3 had looked
    assert ready(recipe).trainer.step == 4


def test_a_loss_that_is_not_finite_stops_before_the_step(tmp_path: Path) -> None:
    trainer = ready(write_recipe(tmp_path), "optimizer.learning_rate=1e-3").trainer
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    images, labels = next(trainer.task.batches(0, trainer.processes.part))
    with pytest.raises(TrainingError, match="the loss is nan at step 1: lower the learning rates"):
        trainer.advance((images * torch.nan, labels))
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.state_dict().items())
    assert trainer.step == 0


def test_matrix_products_are_rounded_in_training_only(tmp_path: Path) -> None:
    run = ready(write_recipe(tmp_path), "training.matmul=bfloat16")
    seen: dict[bool, set[str]] = {True: set(), False: set()}
    run.trainer.model.register_forward_pre_hook(
        lambda module, _: seen[module.training].add(torch.get_float32_matmul_precision())
    )
    run.trainer.advance(next(iter(run.trainer.task.batches(0, run.trainer.processes.part))))
    evaluate(run.trainer)
    run.trainer.model.eval()(*run.trainer.task.inputs(next(iter(run.trainer.task.calibration(1)))))
    assert seen == {True: {"medium"}, False: {"highest"}}
