"""What every trainable form of a compressed weight has in common.

A trainable form is a parametrization of a module's `weight` (`torch.nn.utils.parametrize`): the module's own code and
name stay, and its `weight` is decoded from learnable tensors whenever it is read. It starts from a `CompressedLayer`
and ends as one: what is trained is what is stored, and decoding gives the same float32 values bit for bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssvq.quantize.description import LayerDescription, canonical_weight, from_canonical, from_rows, padded, to_rows
from ssvq.quantize.formats import CODEWORD_MAX
from ssvq.quantize.layer import CompressedLayer

CODEWORD_STEP = 1 / 32
"""What 1 in an int8 codeword is in the learnable codebook.

The elements of a codebook are then of the order of 1, as the scales are of the order of a channel's root mean square.
A power of two, so that no float32 value changes when codebook and scale change units.
"""


class ScaleParameter(nn.Module):
    """A learnable positive scale, `initial * exp(log_gain)`.

    Steps of an optimiser are relative to the scale, so one learning rate suits layers of any magnitude, and no step can
    change its sign. A scale of zero, of a dead channel, stays zero.

    Members:
        initial: float32 buffer, any shape.
        log_gain: float32 parameter of the same shape, zero at the start.
    """

    initial: Tensor

    def __init__(self, initial: Tensor, *, learn: bool) -> None:
        super().__init__()
        self.register_buffer("initial", initial.detach().to(torch.float32).clone())
        self.log_gain = nn.Parameter(torch.zeros_like(self.initial), requires_grad=learn)

    def forward(self) -> Tensor:
        """The scale, of the shape of `initial`."""
        return self.initial * self.log_gain.exp()


class WeightParametrization(nn.Module, ABC):
    """A weight that is decoded from learnable tensors.

    `forward(original)` gives the weight in the module's layout. `original` is the form's main learnable tensor, which
    PyTorch keeps as `parametrizations.weight.original` of the module.

    Attributes:
        description: what the layer is, apart from its tensors.
    """

    def __init__(self, layer: CompressedLayer) -> None:
        super().__init__()
        self.description = LayerDescription(**{f.name: getattr(layer, f.name) for f in fields(LayerDescription)})

    @abstractmethod
    def compress(self, original: Tensor) -> CompressedLayer:
        """The compressed layer of the current values, on the CPU and without a bias.

        `module_weight()` of the result equals `forward(original)` bit for bit.
        """

    def _rows(self, weight: Tensor) -> Tensor:
        """Weight in the module's layout as rows, zero in the padding of the input channels: (N, P, Kpad)."""
        about = self.description
        rows = to_rows(canonical_weight(weight, about.kind, about.groups))
        missing = padded(rows.shape[2], about.vector_dim or 1) - rows.shape[2]
        return functional.pad(rows, (0, missing)) if missing else rows

    def _from_rows(self, rows: Tensor) -> Tensor:
        """Inverse of `_rows`."""
        about = self.description
        weight = from_rows(rows[..., : about.weight_shape[1]], about.weight_shape)
        return from_canonical(weight, about.kind, about.groups)

    def _compressed(self, **tensors: Tensor | None) -> CompressedLayer:
        """The described layer with these tensors, copied to the CPU."""
        parts: dict[str, Any] = {f.name: getattr(self.description, f.name) for f in fields(self.description)}
        parts |= {name: None if t is None else t.detach().cpu().clone() for name, t in tensors.items()}
        return CompressedLayer(**parts)


def integer_codebook(codebook: Tensor, *, low: int) -> Tensor:
    """Learnable codebook (k, d) as float32 integers in low..127; the gradient passes the rounding, not the clamp."""
    scaled = (codebook / CODEWORD_STEP).clamp(low, CODEWORD_MAX)
    return scaled + (scaled.round() - scaled).detach()


def initial_codes(layer: CompressedLayer) -> tuple[Tensor, Tensor]:
    """Where training starts from: codebook float32 (k, d) in units of `CODEWORD_STEP`, indices int32 (N, P, Kpad / d).

    Raises:
        ValueError: the layer's format has no codebook.
    """
    if layer.codebook is None or layer.indices is None:
        raise ValueError(f"{layer.name}: format {layer.format.value} has no codebook")
    return layer.codebook.to(torch.float32) * CODEWORD_STEP, layer.indices.to(torch.int32)
