"""Models to compress: untrained, pretrained ones from the packages that carry their weights, timm's and users' own.

`load_model` makes any of them by name. The modules `minilm`, `efficientnet` and `saliency` also give the activations
inside a model or prepare its inputs; their packages are the extra `models`.
"""

from ssvq.models.captured import CapturedLayer
from ssvq.models.checkpoint import CheckpointError, load_checkpoint
from ssvq.models.packages import MissingPackageError
from ssvq.models.registry import ModelSpecError, load_model

__all__ = [
    "CapturedLayer",
    "CheckpointError",
    "MissingPackageError",
    "ModelSpecError",
    "load_checkpoint",
    "load_model",
]
