"""The models that a recipe asks for."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import nn

from ssvq.models.registry import load_model
from ssvq.train.seeds import derived_seed
from ssvq.train.settings import ModelSettings


def load_settled(settings: ModelSettings, seed: int) -> nn.Module:
    """A model in evaluation mode, with finite values, whose frozen parameters do not learn.

    Args:
        settings: what to load.
        seed: of weights that no file has.

    Raises:
        ValueError: a value is not finite, a pattern matches no parameter, or as `ssvq.models.registry.load_model`.
        MissingPackageError: the model's package is not installed.
    """
    torch.manual_seed(derived_seed(seed, "model"))
    options = dict(settings.options)
    if settings.checkpoint is not None:
        options["checkpoint"] = settings.checkpoint
    model = load_model(settings.name, options=options)
    for pattern in settings.frozen:
        chosen = [parameter for name, parameter in model.named_parameters() if fnmatchcase(name, pattern)]
        if not chosen:
            raise ValueError(f"model.frozen matches no parameter: {pattern!r}")
        for parameter in chosen:
            parameter.requires_grad_(False)
    for name, values in [*model.named_parameters(), *model.named_buffers()]:
        wrong = int((~torch.isfinite(values)).sum())
        if wrong:
            raise ValueError(f"{settings.name}: {name} must be finite, {wrong} of {values.numel()} values are not")
    return model


def file_digests(label: str, settings: ModelSettings) -> dict[str, str]:
    """What is in the files of a model, as hashes by a name for each.

    Raises:
        OSError: a file cannot be read.
    """
    files = {} if settings.checkpoint is None else {"checkpoint": settings.checkpoint}
    kind, _, place = settings.name.partition(":")
    if kind == "file":
        files["code"] = Path(place.rpartition(":")[0])
    return {f"the {label}'s {what}": _digest(path) for what, path in files.items()}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
