"""Real pretrained models, loaded from the packages that carry their weights, and the activations inside them.

Import `ssvq.models.minilm` or `ssvq.models.efficientnet`. Their packages are the extra `models`.
"""

from ssvq.models.captured import CapturedLayer
from ssvq.models.packages import MissingPackageError

__all__ = ["CapturedLayer", "MissingPackageError"]
