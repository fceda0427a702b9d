"""Models by name: those of this package, timm's, and those of a user's file."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from torch import nn

from ssvq.models.checkpoint import load_checkpoint
from ssvq.models.packages import MissingPackageError
from ssvq.python_file import PythonFileError, function_of


class Factory(NamedTuple):
    """Where a model of this package is made; imported when it is used, as some need the extra `models`."""

    module: str
    function: str


FACTORIES: Mapping[str, Factory] = {
    "deit_tiny": Factory("vision_transformer", "deit_tiny"),
    "deit_small": Factory("vision_transformer", "deit_small"),
    "fashion_vit": Factory("vision_transformer", "fashion_vit"),
    "resnet18": Factory("resnet", "resnet18"),
    "resnet50": Factory("resnet", "resnet50"),
    "fashion_resnet": Factory("resnet", "fashion_resnet"),
    "minilm": Factory("minilm", "load_minilm"),
    "efficientnet_lite0": Factory("efficientnet", "load_efficientnet_lite0"),
    "vit_s_saliency": Factory("saliency", "load_saliency"),
}
"""The last three are pretrained; the others start from random weights."""


class ModelSpecError(ValueError):
    """No model can be made of what was asked for; the text names the value and the rule."""


def load_model(spec: str, *, options: Mapping[str, object] | None = None) -> nn.Module:
    """A model in evaluation mode, of which all parameters can be trained.

    Args:
        spec: a name in `FACTORIES`; `timm:NAME`, where timm is installed; or `file:PATH.py:FUNCTION`, a function of
            a Python file that returns a module. The file runs.
        options: arguments of the factory by name, such as `classes`, or `pretrained` of timm's; further `checkpoint`,
            a file as `load_checkpoint` reads.

    Raises:
        ModelSpecError: the spec or an option is not as said.
        CheckpointError: the checkpoint does not fit.
        MissingPackageError: the model's package is not installed.
        ValueError: of the factory, on the value of an option.
    """
    arguments = dict(options or {})
    checkpoint = arguments.pop("checkpoint", None)
    if checkpoint is not None and not isinstance(checkpoint, str | Path):
        raise ModelSpecError(f"checkpoint must be the path of a file, not {checkpoint!r}")
    kind, colon, rest = spec.partition(":")
    if not colon:
        model = _own(spec, arguments)
    elif kind == "timm":
        model = _timm(rest, arguments)
    elif kind == "file":
        model = _from_file(rest, arguments)
    else:
        raise ModelSpecError(f"model must be a name, timm:NAME or file:PATH.py:FUNCTION, not {spec!r}")
    if checkpoint is not None:
        load_checkpoint(model, Path(checkpoint))
    return model.eval().requires_grad_()


def _own(name: str, arguments: Mapping[str, object]) -> nn.Module:
    if name not in FACTORIES:
        raise ModelSpecError(
            f"model must be one of {', '.join(FACTORIES)}, timm:NAME or file:PATH.py:FUNCTION, not {name!r}"
        )
    factory = FACTORIES[name]
    try:
        module = importlib.import_module(f"ssvq.models.{factory.module}")
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"model {name} needs {error.name}; run: pip install 'ssvq-core[models]'", name=error.name
        ) from error
    return _made(name, getattr(module, factory.function), arguments)


def _timm(name: str, arguments: Mapping[str, object]) -> nn.Module:
    try:
        timm: ModuleType = importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"model timm:{name} needs {error.name}; run: pip install timm", name="timm"
        ) from error
    if not timm.is_model(name.partition(".")[0]):
        close = ", ".join(timm.list_models(f"*{name}*")[:3])
        raise ModelSpecError(f"timm has no model {name!r}{f'; it has {close}' if close else ''}")
    return _module(f"timm:{name}", timm.create_model(name, **arguments))


def _from_file(place: str, arguments: Mapping[str, object]) -> nn.Module:
    try:
        factory = function_of(place, what="model")
    except PythonFileError as error:
        raise ModelSpecError(str(error)) from error
    return _made(place, factory, arguments)


def _made(name: str, factory: Callable[..., object], arguments: Mapping[str, object]) -> nn.Module:
    """What a factory returns, having checked that it takes the arguments."""
    parameters = inspect.signature(factory).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for argument in arguments:
        if argument not in parameters and not takes_any:
            known = ", ".join(["checkpoint", *parameters])
            raise ModelSpecError(f"options of model {name} must be of {known}, not {argument!r}")
    return _module(name, factory(**arguments))


def _module(name: str, made: object) -> nn.Module:
    if not isinstance(made, nn.Module):
        raise ModelSpecError(f"model {name} must be a torch.nn.Module, not {type(made).__name__}")
    return made
