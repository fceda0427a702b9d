"""From [data] of a recipe to the samples of training and evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_processes import alone
from PIL import Image
from tiny_training import TEST_IMAGES, TRAIN_IMAGES, write_images
from torch import Tensor, nn

from ssvq.data.fashion_mnist import load_fashion_mnist
from ssvq.train.data_settings import DataSettings, PhotoSettings
from ssvq.train.processes import Part
from ssvq.train.settings import DistillationSettings
from ssvq.train.tables import read_table
from ssvq.train.tasks.factory import make_task
from ssvq.train.tasks.task import Task


class _Words(nn.Module):
    """A sentence encoder whose tokens are characters."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList([nn.Linear(2, 2)])})

    def tokenize(self, sentences: list[str]) -> tuple[Tensor, Tensor]:
        tokens = nn.utils.rnn.pad_sequence(
            [torch.tensor([ord(c) for c in text]) for text in sentences], batch_first=True
        )
        return tokens, tokens > 0

    def forward(self, tokens: Tensor, _mask: Tensor) -> Tensor:
        return torch.stack((tokens % 7, tokens % 5), 2).float()


@dataclass(frozen=True, kw_only=True)
class _Data:
    data: DataSettings


def _task(
    table: dict[str, object], model: nn.Module | None = None, distillation: DistillationSettings | None = None
) -> Task:
    data = read_table(_Data, {"data": {"batch_size": 4, **table}}, "").data
    return make_task(data, nn.Flatten() if model is None else model, distillation=distillation, seed=0)


def test_fashion_mnist(tmp_path: Path) -> None:
    write_images(tmp_path / "data")
    table = {"kind": "fashion-mnist", "folder": str(tmp_path / "data"), "shift": 0}
    assert _task(table).facts() == {"training images": TRAIN_IMAGES, "evaluation images": TEST_IMAGES}
    held = _task(table | {"held_out": 0.25})
    assert held.facts() == {"training images": TRAIN_IMAGES * 3 // 4, "evaluation images": TRAIN_IMAGES // 4}
    training = {str(image.tolist()) for batch in held.batches(0, Part()) for image in batch[0]}
    evaluated: set[str] = set()

    class Seeing(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            evaluated.update(str(image.tolist()) for image in images)
            return torch.zeros(len(images), 10)

    held.evaluate(Seeing(), None, alone())
    assert len(training) + len(evaluated) == len(training | evaluated) == TRAIN_IMAGES
    images, _ = load_fashion_mnist("train", folder=tmp_path / "data")
    assert len(images) == TRAIN_IMAGES


def test_folders_of_images(tmp_path: Path) -> None:
    for number, place in enumerate(("train/a", "train/b", "train/c", "train/d", "test/b")):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        Image.fromarray(np.full((9, 12, 3), 40 * number, np.uint8)).save(folder / "image.png")
    for name in "acd":
        (tmp_path / "test" / name).mkdir()
        Image.fromarray(np.zeros((9, 12, 3), np.uint8)).save(tmp_path / "test" / name / "image.png")
    table = {"kind": "image-folder", "folder": str(tmp_path), "validation": "test", "image_size": 6, "workers": 0}
    task = _task(table | {"mean": [0.0, 0.0, 0.0], "deviation": [1.0, 1.0, 1.0]})
    (images, labels), *others = list(task.batches(0, Part()))
    assert not others
    assert images.shape == (4, 3, 6, 6)
    for image, label in zip(images, labels.tolist(), strict=True):
        assert torch.allclose(image, torch.full_like(image, 40 * label / 255))


def test_lines_of_text(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(200)]
    (tmp_path / "first").write_text("\n".join(lines[:150]))
    (tmp_path / "second").write_text("\n\n".join(lines[150:]))
    table = {"kind": "text", "files": [str(tmp_path / "first"), str(tmp_path / "second")], "held_out": 0.1}
    task = _task(table, _Words(), DistillationSettings(hidden_weight=1.0))
    facts = task.facts()
    assert facts["training texts"] + facts["evaluation texts"] == 200
    assert 5 < facts["evaluation texts"] < 40
    assert task.loss_names == ("embedding", "hidden")
    with pytest.raises(ValueError, match=r"data.kind text has no labels: add the section \[distillation\]"):
        _task(table, _Words())
    with pytest.raises(ValueError, match="data.kind text needs a model that tokenizes, such as minilm, not Flatten"):
        _task(table, None, DistillationSettings())


def test_glosses(tmp_path: Path) -> None:
    synsets = [f"0000{n:04} 03 n 01 word 0 000 | meaning number {n}" for n in range(50)]
    (tmp_path / "data.noun").write_text("\n".join(["  licence", *synsets]) + "\n")
    table = {"kind": "glosses", "folder": str(tmp_path), "parts": ["noun"], "held_out": 0.2}
    facts = _task(table, _Words(), DistillationSettings()).facts()
    assert facts["training texts"] + facts["evaluation texts"] == 50


def test_photos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = []
    for number in range(8):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(np.full((20, 20, 3), 30 * number, np.uint8)).save(files[-1])
    monkeypatch.setattr("ssvq.data.photos.photo_files", lambda sources: files)
    table = {"kind": "photos", "views": 3, "held_out": 0.3, "image_size": 8}
    task = _task(table, None, DistillationSettings(loss="mse"))
    facts = task.facts()
    assert facts["training images"] == 3 * (8 - facts["evaluation images"])
    assert next(task.batches(0, Part()))[0].shape == (4, 3, 8, 8)
    assert task.evaluate(nn.Flatten(), nn.Flatten(), alone()) == {"relative_error": 0.0}
    del files[1:]
    with pytest.raises(ValueError, match="data.held_out must leave photos on both sides, not [01] of 1"):
        _task(table, None, DistillationSettings())
    assert PhotoSettings(kind="photos", batch_size=1).sources
