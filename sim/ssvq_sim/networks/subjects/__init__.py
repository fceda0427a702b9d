"""The networks by name; what they need is imported when they are run."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import NamedTuple

from ..subject import Subject


class Loader(NamedTuple):
    """Where a network's subjects are made: a function `subjects` of a module in this package, and what they are."""

    module: str
    summary: str

    def load(self, *, quick: bool) -> list[Subject]:
        """The subjects. Raises MissingPackageError when packages with weights or samples are not installed."""
        module = importlib.import_module(f"{__name__}.{self.module}")
        made: list[Subject] = module.subjects(quick=quick)
        return made


LOADERS: Mapping[str, Loader] = {
    "deit_tiny": Loader("deit", "a DeiT-tiny of seeded weights, one image at several rates of the bus"),
    "minilm": Loader("minilm", "the sentence encoder MiniLM-L6 on 20 sentences"),
    "efficientnet_lite0": Loader("efficientnet", "the classifier EfficientNet-Lite0 on 20 labelled photos"),
    "vit_s_saliency": Loader("saliency", "the encoder of the ViT-S saliency model, and one of its blocks"),
    "tiled": Loader("tiled", "networks that do not fit the memory of `tiny`, against a core where they do"),
}
