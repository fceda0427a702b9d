"""What a model that is being trained would be on the core."""

from __future__ import annotations

from torch import nn

from ssvq.train.activations import ActivationQuantizer
from ssvq.train.convert import convert
from ssvq.train.prepare import INPUT, OUTPUT, prepared_layers


def runs_in_integers(model: nn.Module) -> bool:
    """Whether the activations of all compressed layers are int8, as the core needs, and there is such a layer."""
    layers = prepared_layers(model).values()
    found = [
        isinstance(getattr(layer, part, None), ActivationQuantizer) for layer in layers for part in (INPUT, OUTPUT)
    ]
    return bool(found) and all(found)


def deployed(model: nn.Module) -> nn.Module:
    """The model in integers where it `runs_in_integers`; else the model itself, whose weights are the stored ones.

    Raises:
        ValueError, CompileError: as `ssvq.train.convert.convert`.
    """
    return convert(model).model if runs_in_integers(model) else model
