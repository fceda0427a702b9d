"""Images to normalised tensors: the standard view for evaluation and random views for training."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ssvq.data.errors import DataFileError

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue in ImageNet, in units of the brightest pixel."""
CROP_TRIES = 10
PIXELS_MAX = 1 << 26
"""Of an image file, as a square of 8192 has."""

Transform = Callable[[Image.Image, random.Random], Tensor]
"""An RGB image to float32 (3, S, S), with all chance from the given source."""


def read_image(path: Path) -> Image.Image:
    """An image file as RGB, decoded.

    Raises:
        DataFileError: the file cannot be read as an image, or has more than `PIXELS_MAX` pixels.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > PIXELS_MAX:  # a short file can have any number of one colour
                size = f"{image.width} x {image.height}"
                raise DataFileError(
                    f"{path} cannot be read as an image: it must be at most {PIXELS_MAX} pixels, not {size}"
                )
            return image.convert("RGB")
    except DataFileError:
        raise
    except Exception as error:  # Pillow's decoders raise anything on malformed files
        raise DataFileError(f"{path} cannot be read as an image: {error or type(error).__name__}") from error


def normalised(image: Image.Image, *, mean: tuple[float, ...], deviation: tuple[float, ...]) -> Tensor:
    """An RGB image as float32 (3, H, W), from whose pixels, 0..1, the mean is taken; then divided by the deviation."""
    pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255)
    return ((pixels - torch.tensor(mean)) / torch.tensor(deviation)).permute(2, 0, 1).contiguous()


def _check_size(size: int) -> None:
    if size < 1:
        raise ValueError(f"size must be at least 1, not {size}")


@dataclass(frozen=True, kw_only=True)
class EvaluationView:
    """The middle of an image: its shorter side becomes `size / crop` pixels, of which a square of `size` is cut out.

    Attributes:
        size: pixels of a side.
        crop: the part of the shorter side that is seen, over 0, at most 1; 0.875 for ResNet, 0.9 for DeiT.
        mean: of red, green and blue, in units of the brightest pixel.
        deviation: likewise.
        resampling: how the image is resized.
    """

    size: int = 224
    crop: float = 0.875
    mean: tuple[float, ...] = IMAGENET_MEAN
    deviation: tuple[float, ...] = IMAGENET_DEVIATION
    resampling: Image.Resampling = Image.Resampling.BICUBIC

    def __post_init__(self) -> None:
        _check_size(self.size)
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop must be over 0 and at most 1, not {self.crop}")

    def __call__(self, image: Image.Image, source: random.Random | None = None) -> Tensor:
        """An RGB image to float32 (3, size, size); nothing is left to chance."""
        shorter = math.floor(self.size / self.crop)
        scale = shorter / min(image.size)
        # the longer side is rounded down, as torchvision and timm do
        width, height = (shorter if side == min(image.size) else int(side * scale) for side in image.size)
        resized = image.resize((width, height), self.resampling)
        left, top = round((width - self.size) / 2), round((height - self.size) / 2)
        cut = resized.crop((left, top, left + self.size, top + self.size))
        return normalised(cut, mean=self.mean, deviation=self.deviation)


@dataclass(frozen=True, kw_only=True)
class TrainingView:
    """A random part of an image, resized to a square, and mirrored by a half chance.

    Attributes:
        size: pixels of a side.
        area: smallest and largest part of the image's area that is seen, over 0, at most 1.
        aspect: smallest and largest ratio of its width to its height.
        mean: of red, green and blue, in units of the brightest pixel.
        deviation: likewise.
        resampling: how the image is resized.
    """

    size: int = 224
    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    mean: tuple[float, ...] = IMAGENET_MEAN
    deviation: tuple[float, ...] = IMAGENET_DEVIATION
    resampling: Image.Resampling = Image.Resampling.BICUBIC

    def __post_init__(self) -> None:
        _check_size(self.size)
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise ValueError(f"area must be a range over 0, at most 1, not {self.area}")
        if not 0 < self.aspect[0] <= self.aspect[1]:
            raise ValueError(f"aspect must be a range over 0, not {self.aspect}")

    def __call__(self, image: Image.Image, source: random.Random) -> Tensor:
        """An RGB image to float32 (3, size, size)."""
        cut = self.cut(image, source)
        return normalised(cut, mean=self.mean, deviation=self.deviation)

    def cut(self, image: Image.Image, source: random.Random) -> Image.Image:
        """The view as an image of size x size, of the image's mode."""
        box = _random_box(image.size, self.area, self.aspect, source)
        view = image.resize((self.size, self.size), self.resampling, box=box)
        return view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if source.random() < 0.5 else view


def _random_box(
    size: tuple[int, int], area: tuple[float, float], aspect: tuple[float, float], source: random.Random
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a part that fits; of an image too long for any, the middle."""
    width, height = size
    for _ in range(CROP_TRIES):
        pixels = width * height * source.uniform(*area)
        ratio = math.exp(source.uniform(math.log(aspect[0]), math.log(aspect[1])))
        across, down = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < across <= width and 0 < down <= height:
            left, top = source.randint(0, width - across), source.randint(0, height - down)
            return left, top, left + across, top + down
    across = max(1, min(width, round(height * aspect[1])))
    down = max(1, min(height, round(width / aspect[0])))
    left, top = (width - across) // 2, (height - down) // 2
    return left, top, left + across, top + down
