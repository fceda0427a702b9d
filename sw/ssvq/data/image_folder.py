"""Labelled images in one folder for each class, as ImageNet's `train` and `val` are usually laid out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from ssvq.data.errors import DataFileError
from ssvq.data.random_source import RandomSource
from ssvq.data.transforms import Transform, read_image

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".gif"))


class ImageFolder(Dataset[tuple[Tensor, int]]):
    """Views of all images below a folder, in the order of their paths; item i is (float32 (3, S, S), class).

    The random numbers of an item depend on the seed, the epoch and the item's number only: any number of workers in
    any order, and training that is resumed in the middle, see the same views.

    Args:
        root: a folder with a folder for each class; images lie anywhere below that.
        transform: such as `EvaluationView()` or `TrainingView()`.
        classes: the names of the classes' folders, in the order of their numbers; sorted if None. Give those of the
            training set for another set of the same classes.
        seed: of the random numbers.

    Raises:
        DataFileError: there is no such folder, a class has no folder or no image, or a folder is none of the classes.
        ValueError: a class is named twice.
    """

    def __init__(
        self, root: Path, *, transform: Transform, classes: Sequence[str] | None = None, seed: int = 0
    ) -> None:
        if not root.is_dir():
            raise DataFileError(f"{root} must be a folder with a folder for each class")
        found = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        if not found:
            raise DataFileError(f"{root} must have a folder for each class, and has none")
        self.classes = tuple(found if classes is None else classes)
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes must differ, not {', '.join(self.classes)}")
        for name in found:
            if name not in self.classes:
                raise DataFileError(f"{root / name} must be the folder of one of the {len(self.classes)} classes")
        self.files: list[Path] = []
        self.labels: list[int] = []
        for label, name in enumerate(self.classes):
            files = _images(root / name)
            if not files:
                raise DataFileError(f"{root / name} must have at least one image ({', '.join(sorted(SUFFIXES))})")
            self.files += files
            self.labels += [label] * len(files)
        self.transform = transform
        self._random = RandomSource(seed)

    def set_epoch(self, epoch: int) -> None:
        """Choose the random views of an epoch; to be called before going through the set."""
        self._random.epoch = epoch

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """A view and its class; raises DataFileError if the file cannot be read as an image."""
        label = self.labels[index]  # IndexError ends a loop over the set
        return self.transform(read_image(self.files[index]), self._random.sample(index % len(self))), label


def _images(folder: Path) -> list[Path]:
    """Images anywhere below a folder, sorted; links to folders are followed, as sets are often put together so."""
    found: list[Path] = []
    for place, _, names in os.walk(folder, followlinks=True):
        found += [Path(place, name) for name in names if Path(name).suffix.lower() in SUFFIXES]
    return sorted(found)
