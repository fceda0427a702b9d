"""[data] of a training recipe: one class for each kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ssvq.quantize.formats import require_int
from ssvq.train.settings import DISPLAY, require_number

BATCH_MAX = 2**20
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """What all kinds of data have.

    Attributes:
        batch_size: samples of a training step, of all processes together.
        evaluation_batch_size: samples that evaluation and calibration run at once, in each process.
    """

    batch_size: int
    evaluation_batch_size: int = 256

    def __post_init__(self) -> None:
        require_int("batch_size", self.batch_size, 1, BATCH_MAX)
        require_int("evaluation_batch_size", self.evaluation_batch_size, 1, BATCH_MAX)


@dataclass(frozen=True, kw_only=True)
class FashionMnistSettings(BatchSettings):
    """Fashion-MNIST, 60,000 + 10,000 images of 28 x 28 in 10 classes.

    Attributes:
        folder: with the four files; None fetches the Debian package.
        shift: pixels by which training images are moved at random, and mirrored; 0 leaves them as they are.
        held_out: share of the training images that are evaluated in place of the test images, and not trained on.
    """

    kind: Literal["fashion-mnist"]
    folder: Path | None = field(default=None, metadata=DISPLAY)
    shift: int = 2
    held_out: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("shift", self.shift, 0, 27)
        require_number("held_out", self.held_out, 0, 0.5)


@dataclass(frozen=True, kw_only=True)
class ImageFolderSettings(BatchSettings):
    """Images in one folder for each class, such as ImageNet.

    Attributes:
        folder: has the folders `train` and `validation`.
        train, validation: names of folders in it, each with a folder for each class.
        image_size: pixels of a side.
        area: smallest and largest part of an image that a random training view shows.
        crop: part of the shorter side that evaluation shows.
        mean, deviation: of red, green and blue, in units of the brightest pixel.
        workers: processes that read images, for each process that trains.
    """

    kind: Literal["image-folder"]
    folder: Path = field(metadata=DISPLAY)
    train: str = "train"
    validation: str = "val"
    image_size: int = 224
    area: tuple[float, float] = (0.08, 1.0)
    crop: float = 0.875
    mean: tuple[float, float, float] = IMAGENET_MEAN
    deviation: tuple[float, float, float] = IMAGENET_DEVIATION
    workers: int = field(default=4, metadata=DISPLAY)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("crop", self.crop, 0, 1, open_low=True)
        _require_views(self)


@dataclass(frozen=True, kw_only=True)
class PhotoSettings(BatchSettings):
    """Random views of a few hundred photos without labels, to distil a model on that sees colour images.

    Attributes:
        sources: names in `ssvq.data.photos.SOURCES`.
        views: of every photo in an epoch.
        held_out: share of the photos that are evaluated and not trained on.
        image_size, area, mean, deviation, workers: as of image folders.
    """

    kind: Literal["photos"]
    sources: tuple[str, ...] = ("stamps", "lomiri", "mate", "scikit-image")
    views: int = 8
    held_out: float = 0.1
    image_size: int = 224
    area: tuple[float, float] = (0.25, 1.0)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    deviation: tuple[float, float, float] = IMAGENET_DEVIATION
    workers: int = field(default=0, metadata=DISPLAY)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("views", self.views, 1, 2**20)
        require_number("held_out", self.held_out, 0, 0.5, open_low=True)
        _require_views(self)


@dataclass(frozen=True, kw_only=True)
class TextSettings(BatchSettings):
    """Text, one sample a line, to distil a sentence encoder on.

    Attributes:
        files: UTF-8.
        held_out: share of the lines that are evaluated and not trained on; equal lines stay together.
    """

    kind: Literal["text"]
    files: tuple[Path, ...] = field(metadata=DISPLAY)
    held_out: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.files:
            raise ValueError("files must not be empty")
        require_number("held_out", self.held_out, 0, 0.5, open_low=True)


@dataclass(frozen=True, kw_only=True)
class GlossSettings(BatchSettings):
    """The definitions in WordNet 3.0, as text.

    Attributes:
        folder: with WordNet's data files; None fetches the Debian package.
        parts: of speech.
        held_out: as of text.
    """

    kind: Literal["glosses"]
    folder: Path | None = field(default=None, metadata=DISPLAY)
    parts: tuple[Literal["noun", "verb", "adj", "adv"], ...] = ("noun", "verb")
    held_out: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.parts:
            raise ValueError("parts must not be empty")
        require_number("held_out", self.held_out, 0, 0.5, open_low=True)


def _require_views(settings: ImageFolderSettings | PhotoSettings) -> None:
    require_int("image_size", settings.image_size, 1, 2**14)
    require_int("workers", settings.workers, 0, 1024)
    for part in settings.area:
        require_number("area", part, 0, 1, open_low=True)
    for deviation in settings.deviation:
        require_number("deviation", deviation, 0, open_low=True)


DataSettings = FashionMnistSettings | ImageFolderSettings | PhotoSettings | TextSettings | GlossSettings
