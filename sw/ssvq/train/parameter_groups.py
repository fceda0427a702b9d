"""Which learnable tensors of a model belong together, and with which learning rate and weight decay they learn."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

from torch import nn

from ssvq.train.activations import ActivationQuantizer
from ssvq.train.codebook_weight import CodebookWeight
from ssvq.train.parametrization import ScaleParameter
from ssvq.train.prepare import original_tensor, prepared_layers, weight_form
from ssvq.train.settings import OptimizerSettings
from ssvq.train.ssvq_weight import SsvqWeight

ORIGINAL = "parametrizations.weight.original"


class ParameterKind(StrEnum):
    """What a learnable tensor is.

    - `SIGN`: latent signs of SSVQ.
    - `CODEBOOK`: codebooks of all formats that have one.
    - `SCALE`: logarithms of the weights' scales.
    - `ACTIVATION`: logarithms of the activations' scales.
    - `INTEGER`: what is rounded in uniform formats, and FlexRound's divisors.
    - `MATRIX`: uncompressed weights of linear layers, convolutions and attention, which decay.
    - `OTHER`: biases, norms, embeddings, and all else that is not compressed.
    """

    SIGN = "sign"
    CODEBOOK = "codebook"
    SCALE = "scale"
    ACTIVATION = "activation"
    INTEGER = "integer"
    MATRIX = "matrix"
    OTHER = "other"


def parameter_kinds(model: nn.Module) -> dict[str, ParameterKind]:
    """Kind of every parameter that learns, by its name in the model; one that has several names, under its first."""
    kinds: dict[int, ParameterKind] = {}
    for module in model.modules():
        if isinstance(module, ActivationQuantizer):
            kinds[id(module.scale.log_gain)] = ParameterKind.ACTIVATION
    for layer in prepared_layers(model).values():
        form = weight_form(layer)
        for parameter in form.parameters():
            kinds[id(parameter)] = ParameterKind.INTEGER
        kinds[id(original_tensor(layer))] = ParameterKind.INTEGER
        if isinstance(form, SsvqWeight):
            kinds[id(original_tensor(layer))] = ParameterKind.SIGN
            kinds[id(form.codebook)] = ParameterKind.CODEBOOK
        elif isinstance(form, CodebookWeight):
            kinds[id(original_tensor(layer))] = ParameterKind.CODEBOOK
        for part in form.modules():
            if isinstance(part, ScaleParameter):
                kinds[id(part.log_gain)] = ParameterKind.SCALE
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            # embeddings and positions are tables, not maps
            matrix = name.endswith("weight") and parameter.ndim >= 2 and not isinstance(module, nn.Embedding)
            kinds.setdefault(id(parameter), ParameterKind.MATRIX if matrix else ParameterKind.OTHER)
    return {name: kinds[id(p)] for name, p in model.named_parameters() if p.requires_grad}


def parameter_groups(model: nn.Module, settings: OptimizerSettings) -> list[dict[str, Any]]:
    """Groups for an optimizer of torch, one for each kind that the model has.

    Returns:
        Groups with `params`, `lr`, `weight_decay`, and `kind` and `names` for those who read them.

    Raises:
        ValueError: no parameter learns.
    """
    kinds = parameter_kinds(model)
    if not kinds:
        raise ValueError(f"{type(model).__name__} has no parameter that learns")
    parameters = dict(model.named_parameters())
    groups: list[dict[str, Any]] = []
    for kind in ParameterKind:
        names = [name for name, found in kinds.items() if found is kind]
        if names:
            groups.append(
                {
                    "params": [parameters[name] for name in names],
                    "lr": learning_rate(settings, kind),
                    "weight_decay": settings.weight_decay if kind is ParameterKind.MATRIX else 0.0,
                    "kind": kind.value,
                    "names": names,
                }
            )
    return groups


def learning_rate(settings: OptimizerSettings, kind: ParameterKind) -> float:
    """Highest learning rate of a kind."""
    own = {
        ParameterKind.SIGN: settings.sign_learning_rate,
        ParameterKind.CODEBOOK: settings.codebook_learning_rate,
        ParameterKind.SCALE: settings.scale_learning_rate,
        ParameterKind.ACTIVATION: settings.activation_learning_rate,
        ParameterKind.MATRIX: settings.uncompressed_learning_rate,
        ParameterKind.OTHER: settings.uncompressed_learning_rate,
    }.get(kind)
    return settings.learning_rate if own is None else own


def learning_rate_factor(settings: OptimizerSettings, step: int, total_steps: int) -> float:
    """Learning rate of a step, 0..total_steps - 1, as a share of the highest: a linear rise, then half a cosine."""
    rise = settings.warmup * total_steps
    if step < rise:
        return (step + 1) / math.ceil(rise)
    progress = (step - rise) / max(1.0, total_steps - rise)
    return settings.final + (1 - settings.final) * (1 + math.cos(math.pi * progress)) / 2
