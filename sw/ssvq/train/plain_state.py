"""The weights of a trained model by the names that it had before it was prepared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from ssvq.quantize.rules import Layer
from ssvq.train.folding import FoldedNorm
from ssvq.train.prepare import INPUT, OUTPUT, prepared_layers

_FORM = ("parametrizations", INPUT, OUTPUT)
"""Submodules that a layer got when it was prepared."""


@torch.no_grad()
def plain_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict, on the CPU, of the model as it was before `prepare`, which is a checkpoint for it.

    The weights of compressed layers are the decoded ones, those that a container has of them. A batch norm that a layer
    has taken in only adds the layer's bias, where the layer had none. A model that was never prepared has its own.
    """
    prepared = set(prepared_layers(model).values())
    layers = {name: cast(Layer, module) for name, module in model.named_modules() if module in prepared}
    state = {name: tensor for name, tensor in model.state_dict().items() if not _is_form(name, layers)}
    for name, layer in layers.items():
        state[_within(name, "weight")] = layer.weight
    for name, norm in model.named_modules():
        if isinstance(norm, FoldedNorm):
            bias = model.get_parameter(_within(norm.layer, "bias")).cpu()
            if norm.moves_bias:
                del state[_within(norm.layer, "bias")]
            added = norm.state(bias if norm.moves_bias else torch.zeros_like(bias))
            state |= {_within(name, key): value for key, value in added.items()}
    # copies in their own order, as safetensors takes none that share memory or are turned
    return {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}


def _is_form(name: str, layers: Iterable[str]) -> bool:
    return any(name.startswith(f"{_within(layer, part)}.") for layer in layers for part in _FORM)


def _within(module: str, name: str) -> str:
    return f"{module}.{name}" if module else name
