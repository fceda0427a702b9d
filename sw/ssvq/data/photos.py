"""Natural colour photos that installed packages ship: unlabelled images to distil a model on, a few hundred in all.

The source "imagenet" has the labelled photos that models are judged on here, so what is trained on them cannot be
judged by them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from ssvq.data.debian import debian_package
from ssvq.data.errors import DataFileError
from ssvq.data.random_source import RandomSource
from ssvq.data.transforms import TrainingView, normalised
from ssvq.models.packages import package_file

SAMPLES = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
WALLPAPERS = (
    *("Bridge", "Dragonfly", "Picture_0B", "Picture_1A", "Wine", "aitzgorri", "free", "friends", "greentock", "life"),
    *("picosdeeuropa", "seeding", "sunset"),
)
"""The others are drawn."""
THINGS = ("animals", "food", "plants", "vehicles")
BACKGROUNDS = "usr/share/backgrounds"
STAMPS = "usr/share/tuxpaint/stamps"
NO_PHOTOS = ("cartoon", "toys", "plastic")
"""Folders that have drawings or models of things."""
LONGEST_SIDE = 512
BACKGROUND = (124, 116, 104)
"""ImageNet's mean colour."""


class PhotoSource(NamedTuple):
    """Files of a package.

    Attributes:
        package: its name for pip or apt.
        module: the Python package; None for a Debian package.
        patterns: of the files in the package's folder.
        photos: how many there are in the version that was looked at.
    """

    package: str
    module: str | None
    patterns: tuple[str, ...]
    photos: int


SOURCES: Mapping[str, PhotoSource] = {
    "imagenet": PhotoSource("foolbox", "foolbox", ("data/imagenet_*.jpg",), 20),
    "cifar": PhotoSource("foolbox", "foolbox", ("data/cifar10_*.png", "data/cifar100_*.png"), 40),
    "hopper": PhotoSource("matplotlib", "matplotlib", ("mpl-data/sample_data/grace_hopper.jpg",), 1),
    "scikit-image": PhotoSource("scikit-image", "skimage", tuple(f"data/{name}" for name in SAMPLES), 5),
    "scikit-learn": PhotoSource("scikit-learn", "sklearn", ("datasets/images/*.jpg",), 2),
    "lomiri": PhotoSource("lomiri-wallpapers-16.04", None, tuple(f"{BACKGROUNDS}/{name}*" for name in WALLPAPERS), 13),
    "mate": PhotoSource("mate-backgrounds", None, (f"{BACKGROUNDS}/mate/nature/*.jpg",), 12),
    "stamps": PhotoSource("tuxpaint-stamps-default", None, tuple(f"{STAMPS}/{kind}/**/*.png" for kind in THINGS), 234),
}
"""CIFAR's are of 32 x 32. Debian packages, of 16, 46 and 161 MB, are fetched when they are asked for; the stamps are
objects cut out of photos."""


def photo_files(sources: Iterable[str]) -> list[Path]:
    """The files of some sources, sorted within each.

    Raises:
        ValueError: no such source.
        MissingDataError: a Debian package cannot be had.
        MissingPackageError: a Python package is not installed.
        DataFileError: a package has no photo.
    """
    files: list[Path] = []
    for name in sources:
        if name not in SOURCES:
            raise ValueError(f"sources must be of {', '.join(SOURCES)}, not {name!r}")
        source = SOURCES[name]
        if source.module is None:
            root = debian_package(source.package)
        else:
            root = package_file(source.module, source.package, "")
        found = sorted(file for pattern in source.patterns for file in root.glob(pattern))
        photos = [file for file in found if not set(NO_PHOTOS).intersection(file.parts)]
        if not photos:
            raise DataFileError(f"{root} must have files {', '.join(source.patterns)}, and has none")
        files += photos
    return files


class Photos(Dataset[Tensor]):
    """Random views of photos, float32 (3, S, S); those that are cut out lie on a view of another.

    Item i of an epoch is a view of photo `i % len(files)`; its random numbers depend on the seed, the epoch and i only.
    The photos are kept in memory, about 0.2 MB each.

    Args:
        files: images of any kind; a transparent part is filled.
        view: which parts are seen.
        views: items of every photo in an epoch.
        seed: of the random numbers.

    Raises:
        ValueError: there is no file, or views is not positive.
        DataFileError: a file cannot be read as an image.
    """

    def __init__(self, files: Sequence[Path], *, view: TrainingView, views: int = 1, seed: int = 0) -> None:
        if not files:
            raise ValueError("files must not be empty")
        if views < 1:
            raise ValueError(f"views must be at least 1, not {views}")
        self.images = [_reduced(file) for file in files]
        self.backgrounds = [image for image in self.images if image.mode == "RGB"]
        self.view = view
        self.views = views
        self._random = RandomSource(seed)

    def set_epoch(self, epoch: int) -> None:
        """Choose the views of an epoch; to be called before going through the set."""
        self._random.epoch = epoch

    def __len__(self) -> int:
        return len(self.images) * self.views

    def __getitem__(self, index: int) -> Tensor:
        """A view, float32 (3, S, S)."""
        if not 0 <= index < len(self):
            raise IndexError(f"index must be in 0..{len(self) - 1}, not {index}")
        source = self._random.sample(index)
        view = self.view.cut(self.images[index % len(self.images)], source)
        if view.mode == "RGBA":
            ground = self._background(source)
            ground.paste(view, mask=view)
            view = ground
        return normalised(view, mean=self.view.mean, deviation=self.view.deviation)

    def _background(self, source: random.Random) -> Image.Image:
        if not self.backgrounds:
            return Image.new("RGB", (self.view.size, self.view.size), BACKGROUND)
        return self.view.cut(source.choice(self.backgrounds), source)


def _reduced(file: Path) -> Image.Image:
    """A photo of at most `LONGEST_SIDE`, as RGB or, where a part is transparent, RGBA."""
    try:
        with Image.open(file) as image:
            image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # JPEG is decoded at a fraction of its size
            reduced = image.convert("RGBA" if image.has_transparency_data else "RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise DataFileError(f"{file} cannot be read as an image: {error}") from error
    reduced.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BICUBIC)
    return reduced
