"""A training run that takes a second: images with a bright bar that tells the class, and a model of 9,000 weights."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from ssvq.train.processes import Processes
from ssvq.train.recipe import Recipe
from ssvq.train.run import Run, set_up

TRAIN_IMAGES, TEST_IMAGES = 64, 32
BATCH_SIZE = 16
STEPS_PER_EPOCH = TRAIN_IMAGES // BATCH_SIZE

MODEL = """
from torch import nn

def build(classes: int = 10, norm: bool = False, dropout: float = 0.1):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8) if norm else nn.Identity(),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Flatten(),
        nn.Linear(16 * 49, classes),
    )
"""
RECIPE = """
[model]
name = "file:{folder}/model.py:build"

[data]
kind = "fashion-mnist"
folder = "{folder}/data"
batch_size = 16

{rules}

[optimizer]
learning_rate = 3e-3
weight_decay = 0.01
clip_norm = 1.0

[training]
epochs = 3
log_steps = 2
checkpoint_steps = 2

[calibration]
batches = 1

[freezing]
start_fraction = 0.0
interval_fraction = 0.1

[output]
folder = "{folder}/out"
tensorboard = false
"""
SSVQ_RULE = """
[[rules]]
pattern = "*"
format = "ssvq"
codebook_size = 4
vector_dim = 4
pad = true
"""


def write_images(folder: Path, *, seed: int = 0) -> None:
    """The four files of a data set like Fashion-MNIST."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(seed)
    for name, count in (("train", TRAIN_IMAGES), ("t10k", TEST_IMAGES)):
        labels = chance.integers(0, 10, count).astype(np.uint8)
        images = chance.integers(0, 100, (count, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[2 * label : 2 * label + 3] += 120
        _write_idx(folder / f"{name}-images-idx3-ubyte.gz", images)
        _write_idx(folder / f"{name}-labels-idx1-ubyte.gz", labels)


def _write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def write_recipe(folder: Path, *, rules: str = SSVQ_RULE) -> Path:
    """A recipe with all it needs, in an empty folder; results go to `out` in it."""
    write_images(folder / "data")
    (folder / "model.py").write_text(MODEL)
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(folder=folder, rules=rules))
    return path


def ready(recipe: Path, *overrides: str, processes: Processes | None = None, **options: Any) -> Run:
    """A run that is set up, in this process, without a word."""
    torch.set_num_threads(1)  # work this small is slower with more, and sums could differ
    processes = Processes.start() if processes is None else processes
    return set_up(Recipe.load(str(recipe), overrides), processes, console=Console(quiet=True), **options)
