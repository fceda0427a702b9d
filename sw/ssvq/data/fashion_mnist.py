"""Fashion-MNIST: 60,000 + 10,000 grey images of clothing, 28 x 28, 10 classes. Xiao et al., 2017, arXiv:1708.07747.

From Debian's package `dataset-fashion-mnist` (31 MB), or from any folder with the four files that are also MNIST's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ssvq.data.debian import debian_package
from ssvq.data.errors import DataFileError
from ssvq.data.idx import read_idx

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
PIXEL_MEAN, PIXEL_DEVIATION = 0.2860, 0.3530
"""Of the training images, in units of the brightest pixel."""
BLACK = -PIXEL_MEAN / PIXEL_DEVIATION
"""A background pixel after `normalised`."""
FILE_PREFIX = {"train": "train", "test": "t10k"}


def load_fashion_mnist(split: Literal["train", "test"], *, folder: Path | None = None) -> tuple[Tensor, Tensor]:
    """Images uint8 (N, 1, 28, 28), 255 = brightest, and labels int64 (N,), 0..9.

    Args:
        split: "train" (60,000) or "test" (10,000).
        folder: with the files `train-images-idx3-ubyte.gz`, `train-labels-idx1-ubyte.gz`, `t10k-...`; the Debian
            package's if None.

    Raises:
        ValueError: no such split.
        MissingDataError: the Debian package cannot be had.
        DataFileError: a file is missing or malformed, or there are not as many labels as images.
    """
    if split not in FILE_PREFIX:
        raise ValueError(f"split must be 'train' or 'test', not {split!r}")
    if folder is None:
        folder = debian_package("dataset-fashion-mnist") / "usr/share/datasets/fashion-mnist"
    image_file = folder / f"{FILE_PREFIX[split]}-images-idx3-ubyte.gz"
    label_file = folder / f"{FILE_PREFIX[split]}-labels-idx1-ubyte.gz"
    images, labels = read_idx(image_file, dimensions=3), read_idx(label_file, dimensions=1)
    if images.shape[1:] != (28, 28):
        raise DataFileError(f"{image_file} must have images of 28 x 28, not {images.shape[1]} x {images.shape[2]}")
    if len(images) != len(labels):
        raise DataFileError(f"{label_file} must have {len(images)} labels, not {len(labels)}")
    if len(labels) and int(labels.max()) >= len(CLASSES):
        raise DataFileError(f"{label_file} must have labels of 0..{len(CLASSES) - 1}, not {int(labels.max())}")
    return images[:, None], labels.long()


def normalised(images: Tensor) -> Tensor:
    """Pixels uint8 as float32 with the training set's mean 0 and deviation 1, of the same shape."""
    return images.float().div(255).sub(PIXEL_MEAN).div(PIXEL_DEVIATION)


def augmented(images: Tensor, *, generator: torch.Generator, shift: int = 2) -> Tensor:
    """Every image of a batch moved by up to `shift` pixels along both axes and mirrored by a half chance.

    Args:
        images: float32 (B, 1, H, W), normalised; what moves in is black.
        generator: of the same device.
        shift: the largest move, at least 0.

    Raises:
        ValueError: shift is negative.
    """
    if shift < 0:
        raise ValueError(f"shift must be at least 0, not {shift}")
    count, _, height, width = images.shape
    device = images.device

    def moved(size: int) -> Tensor:
        start = torch.randint(0, 2 * shift + 1, (count, 1), generator=generator, device=device)
        return start + torch.arange(size, device=device)

    rows, columns = moved(height), moved(width)
    mirror = torch.rand(count, 1, generator=generator, device=device) < 0.5
    columns = torch.where(mirror, columns.flip(1), columns)
    padded = torch.nn.functional.pad(images[:, 0], (shift,) * 4, value=BLACK)
    each = torch.arange(count, device=device)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]][:, None]
