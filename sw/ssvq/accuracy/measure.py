"""What is measured of a model beside the metrics of its training task, by family."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ssvq.accuracy.study import Family
from ssvq.evaluate.estimate import Estimate
from ssvq.evaluate.sentences import Embed, lee50, simlex999, wordsim353

Metrics = dict[str, float | Estimate]
"""By name; an `Estimate` where the sample is small."""


def measure(family: Family, model: nn.Module, teacher: nn.Module | None) -> Metrics:
    """Metrics of a model.

    Args:
        family: decides what is measured.
        model: as it would run on the core.
        teacher: the float model; families that are compared with it need one.

    Raises:
        ValueError: there is no teacher where one is needed.
        MissingPackageError: data is not installed.
    """
    further = _FURTHER.get(family)
    return {} if further is None else further(model, teacher)


def _sentences(model: nn.Module, _teacher: nn.Module | None) -> Metrics:
    embed: Embed = model.embed  # type: ignore[assignment]
    return {
        "wordsim353": wordsim353(embed).spearman,
        "simlex999": simlex999(embed).spearman,
        "lee50": lee50(embed).pearson,
    }


def _classified_photos(model: nn.Module, teacher: nn.Module | None) -> Metrics:
    from ssvq.evaluate.classification import accuracy, agreement, divergence
    from ssvq.models.efficientnet import sample_photos

    images, classes = sample_photos()
    logits, reference = _both(model, teacher, images)
    return {
        "photos top-1": accuracy(logits, torch.tensor(classes)),
        "photos agreement": agreement(logits, reference),
        "photos divergence": divergence(logits, reference),
    }


def _important_parts(model: nn.Module, teacher: nn.Module | None) -> Metrics:
    from PIL import Image

    from ssvq.data.photos import photo_files
    from ssvq.evaluate.saliency import overlap
    from ssvq.models.saliency import prepare_image

    images = torch.stack([prepare_image(Image.open(file)) for file in photo_files(["imagenet"])])
    return {"photos overlap": overlap(*_both(model, teacher, images))}


@torch.no_grad()
def _both(model: nn.Module, teacher: nn.Module | None, images: Tensor) -> tuple[Tensor, Tensor]:
    if teacher is None:
        raise ValueError("the model is compared with a teacher: add the section [distillation]")
    return model(images), teacher(images)


_FURTHER: Mapping[str, Callable[[nn.Module, nn.Module | None], Metrics]] = {
    "minilm": _sentences,
    "efficientnet_lite0": _classified_photos,
    "vit_s_saliency": _important_parts,
}
