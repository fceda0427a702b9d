"""Maps of what is important in an image, compared with another model's."""

from __future__ import annotations

import torch
from torch import Tensor

from ssvq.evaluate.estimate import Estimate, mean_of


def overlap(logits: Tensor, reference: Tensor, *, threshold: float = 0.5) -> Estimate:
    """Intersection over union of what two models hold important, image by image; 1 where neither finds anything.

    Args:
        logits: (B, 1, H, W).
        reference: of the same shape.
        threshold: of the importance, which is the logits' sigmoid; between 0 and 1.

    Raises:
        ValueError: the shapes differ, or the threshold is not as said.
    """
    if logits.ndim != 4 or logits.shape != reference.shape:
        raise ValueError(f"logits must be (B, 1, H, W) for both, not {tuple(logits.shape)}, {tuple(reference.shape)}")
    if not 0 < threshold < 1:
        raise ValueError(f"threshold must be between 0 and 1, not {threshold}")
    limit = torch.logit(torch.tensor(threshold))
    found, wanted = ((each > limit).flatten(1) for each in (logits, reference))
    common, either = (found & wanted).sum(1), (found | wanted).sum(1)
    return mean_of(torch.where(either > 0, common / either.clamp(min=1), 1.0))
