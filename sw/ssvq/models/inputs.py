"""What the models of the registry take: shapes to trace them with, and how images become their inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ModelInputs:
    """The arguments of a model's `forward`, for one sample.

    Attributes:
        shapes: of each argument.
        dtypes: names of PyTorch's types, as many.
        preparation: one of `ssvq.data.preparation.PREPARATIONS`, for models of images.
    """

    shapes: tuple[Shape, ...]
    dtypes: tuple[str, ...] = ("float32",)
    preparation: str = ""


_PHOTO = ModelInputs(shapes=((1, 3, 224, 224),), preparation="imagenet")
_FASHION = ModelInputs(shapes=((1, 1, 28, 28),), preparation="fashion_mnist")

INPUTS: Mapping[str, ModelInputs] = {
    "deit_tiny": _PHOTO,
    "deit_small": _PHOTO,
    "resnet18": _PHOTO,
    "resnet50": _PHOTO,
    "vit_s_saliency": _PHOTO,
    "fashion_vit": _FASHION,
    "fashion_resnet": _FASHION,
    "efficientnet_lite0": ModelInputs(shapes=((1, 3, 224, 224),), preparation="efficientnet_lite0"),
    "minilm": ModelInputs(shapes=((1, 32), (1, 32)), dtypes=("int64", "bool")),
}
"""By the names of `ssvq.models.registry.FACTORIES`; MiniLM takes 32 tokens and their mask."""
