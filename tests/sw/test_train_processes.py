from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fake_processes import FakeProcesses
from tiny_training import ready, write_recipe
from torch import Tensor, nn

from ssvq.train.processes import Part, Processes
from ssvq.train.trainer import Trainer, TrainingError

SECOND = Part(rank=1, count=2)


def _frozen(tmp_path: Path) -> Trainer:
    """A trainer after steps in which every second sign of a layer was made to flip, so that some are frozen."""
    trainer = ready(write_recipe(tmp_path), "training.epochs=4").trainer
    latent = trainer.model.get_parameter("7.parametrizations.weight.original")
    for batch in [batch for epoch in range(4) for batch in trainer.task.batches(epoch, Part())]:
        with torch.no_grad():
            latent[:, ::2] *= -1
        trainer.advance(batch)
    assert trainer.freezer is not None
    assert trainer.freezer.stats().total.frozen > 1000
    return trainer


def test_frozen_signs_that_differ_are_found(tmp_path: Path) -> None:
    trainer = _frozen(tmp_path)
    trainer.processes = FakeProcesses(SECOND)
    trainer.require_equal_signs()
    trainer.processes = FakeProcesses(SECOND, lambda values: values + torch.tensor([0, 0, 1]))
    with pytest.raises(TrainingError, match="frozen signs of 7 differ between processes after step 16"):
        trainer.require_equal_signs()


def test_the_checksum_sees_a_single_frozen_sign(tmp_path: Path) -> None:
    trainer = _frozen(tmp_path)
    found: list[Tensor] = []
    trainer.processes = FakeProcesses(SECOND, lambda values: found.append(values) or values)
    assert trainer.freezer is not None
    frozen = trainer.freezer.frozen("7").flatten()
    latent = trainer.model.get_parameter("7.parametrizations.weight.original").detach().flatten()
    changes = (int((~frozen).nonzero()[0]), int(frozen.nonzero()[0]))
    trainer.require_equal_signs()
    for position in changes:
        latent[position] *= -1
        trainer.require_equal_signs()
        latent[position] *= -1
    assert torch.equal(found[0], found[1])  # a sign that is not frozen may differ
    assert found[2][2] != found[0][2]


def test_statistics_of_batch_norms_are_averaged() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm1d(2, track_running_stats=False))
    norm = model[0]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    norm.running_mean += 2.0
    FakeProcesses(SECOND, lambda values: values + 1.0).average_statistics(model)
    assert torch.equal(norm.running_mean, torch.full((3,), 2.5))
    assert torch.equal(norm.get_buffer("running_var"), torch.full((3,), 1.5))


def test_more_processes_than_samples_are_refused(tmp_path: Path) -> None:
    recipe, processes = write_recipe(tmp_path, rules=""), Processes.start()
    processes.part = Part(count=17)
    with pytest.raises(ValueError, match="data.batch_size must be at least the 17 processes"):
        ready(recipe, processes=processes)


def test_processes_that_cannot_be_joined_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    Processes.start()
    monkeypatch.setenv("WORLD_SIZE", "2")  # but accelerate has started alone before, and stays so
    with pytest.raises(RuntimeError, match="2 processes were started, but 1 can train together"):
        Processes.start()


def test_a_second_model_does_not_keep_the_first(tmp_path: Path) -> None:
    run = ready(write_recipe(tmp_path))
    processes = run.trainer.processes
    ready(tmp_path / "recipe.toml", processes=processes)
    assert len(processes.accelerator._models) == 1
