"""Image files as the inputs of models that are known by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ssvq.data.fashion_mnist import normalised
from ssvq.data.transforms import EvaluationView, read_image


def _imagenet(image: Image.Image, size: int) -> Tensor:
    return EvaluationView(size=size)(image)


def _efficientnet(image: Image.Image, size: int) -> Tensor:
    from ssvq.models.efficientnet import IMAGE_SIZE, prepare_image

    if size != IMAGE_SIZE:
        raise ValueError(f"EfficientNet-Lite0 takes images of {IMAGE_SIZE} pixels, not {size}")
    return prepare_image(image)


def _fashion(image: Image.Image, size: int) -> Tensor:
    grey = np.asarray(image.convert("L").resize((size, size), Image.Resampling.BICUBIC), dtype=np.uint8)
    return normalised(torch.from_numpy(grey.copy())[None])


PREPARATIONS: Mapping[str, Callable[[Image.Image, int], Tensor]] = {
    "imagenet": _imagenet,
    "efficientnet_lite0": _efficientnet,
    "fashion_mnist": _fashion,
}
"""By name: an RGB image to float32 (C, size, size)."""


def prepared(path: Path, preparation: str, shape: tuple[int, ...]) -> Tensor:
    """An image file as a model's input of a shape (1, C, S, S).

    Raises:
        DataFileError: the file is no image.
        ValueError: the model takes no images, or others.
    """
    if preparation not in PREPARATIONS or len(shape) != 4 or shape[0] != 1 or shape[2] != shape[3]:
        raise ValueError(f"{path}: an input of shape {shape} is not made from an image file; give a .npy file")
    image = PREPARATIONS[preparation](read_image(path), shape[2])[None]
    if tuple(image.shape) != shape:
        raise ValueError(f"{path}: an image gives an input of shape {tuple(image.shape)}, not {shape}")
    return image
