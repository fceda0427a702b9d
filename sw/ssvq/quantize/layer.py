"""A compressed layer: the tensors that are stored, and how weights are decoded from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ssvq.quantize.description import LayerDescription, LayerError, from_canonical, from_rows
from ssvq.quantize.formats import CODEWORD_MAX, WeightFormat
from ssvq.quantize.masks import mask_problem
from ssvq.quantize.storage import Storage, count_bits
from ssvq.reference import ActivationScale

Activation = Literal["none", "relu", "relu6"]

FORMAT_TENSORS = ("codebook", "indices", "signs", "mask", "weight_int8", "weight_float")
"""Tensors that a format has or has not."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CompressedLayer(LayerDescription):
    """One layer in a stored representation. Checked when made; raises `LayerError` naming the field and the rule.

    Attributes (further to those of `LayerDescription`):
        codebook: int8 (k, d), 0..127 for SSVQ, -127..127 for VQ and MVQ.
        indices: int16 (N, P, Kpad / d), 0..k-1.
        signs: bool (N, P, Kpad), True = negative; SSVQ only. False in the padding and where the codeword element is
            zero, so that equal weights have one representation.
        mask: bool (N, P, Kpad), True = kept; MVQ only. Exactly `keep` of every group are True, those of the padding
            only as `ssvq.quantize.masks` says.
        weight_int8: int8 (N, P, K), the integers of the uniform formats, each within its `integer_range`.
        weight_float: float32 of `weight_shape`; FLOAT only.
        scale: float32 (N,) or (1,), >= 0; (1,) of 1.0 and not stored for FLOAT.
        bias: float32 (N,) or None.
        input_scale, output_scale: what the int8 activations before and behind the layer mean, when that is known.
        activation: "none", "relu" or "relu6", applied to the outputs before they become int8.
    """

    codebook: Tensor | None = None
    indices: Tensor | None = None
    signs: Tensor | None = None
    mask: Tensor | None = None
    weight_int8: Tensor | None = None
    weight_float: Tensor | None = None
    scale: Tensor
    bias: Tensor | None = None
    input_scale: ActivationScale | None = None
    output_scale: ActivationScale | None = None
    activation: Activation = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        shapes = self.weight_tensors()
        for field in FORMAT_TENSORS:
            tensor = getattr(self, field)
            if (tensor is None) != (field not in shapes):
                rule = "must be given" if field in shapes else "must be None"
                raise LayerError(field, f"{rule} for format {self.format.value}")
            if tensor is not None:
                _check_tensor(field, tensor, *shapes[field])
        rows = self.weight_shape[0]
        _check_tensor("scale", self.scale, torch.float32, (1,) if self.scale.shape == (1,) else (rows,))
        if bool((self.scale < 0).any()):
            raise LayerError("scale", f"must be at least 0, not {float(self.scale.min())}")
        if self.format is WeightFormat.FLOAT and not (self.scale.shape == (1,) and float(self.scale) == 1.0):
            raise LayerError("scale", "must be a single 1.0 for format float")
        if self.bias is not None:
            _check_tensor("bias", self.bias, torch.float32, (rows,))
        self._check_values()
        self._check_activations()

    def _check_values(self) -> None:
        limits = {"indices": (0, (self.codebook_size or 1) - 1)}
        limits["codebook"] = (0 if self.format is WeightFormat.SSVQ else -CODEWORD_MAX, CODEWORD_MAX)
        if self.format.is_uniform:
            limits["weight_int8"] = self.format.integer_range
        for field, (least, most) in limits.items():
            tensor: Tensor | None = getattr(self, field)
            if tensor is not None and not least <= int(tensor.min()) <= int(tensor.max()) <= most:
                found = f"{int(tensor.min())}..{int(tensor.max())}"
                raise LayerError(field, f"must hold values in {least}..{most}, not {found}")
        if self.signs is not None and bool((self.signs & (self._words() == 0)).any()):
            raise LayerError("signs", "must be False in the padding and where the codeword element is 0")
        if self.mask is not None and self.pattern is not None:
            problem = mask_problem(self.mask, *self.pattern, self.weight_shape[1])
            if problem is not None:
                raise LayerError("mask", problem)

    def _check_activations(self) -> None:
        for field in ("input_scale", "output_scale"):
            value = getattr(self, field)
            if value is not None and not isinstance(value, ActivationScale):
                raise LayerError(field, f"must be an ActivationScale or None, not {value!r:.80}")
        for field, allowed in (("input_scale", (0,)), ("output_scale", (0, self.weight_shape[0]))):
            value = getattr(self, field)
            if value is not None and len(value.gains) not in allowed:
                raise LayerError(field, f"must have {' or '.join(map(str, allowed))} gains, not {len(value.gains)}")
        if self.activation not in get_args(Activation):
            known = ", ".join(get_args(Activation))
            raise LayerError("activation", f"must be one of {known}, not {self.activation!r:.80}")

    def _words(self) -> Tensor:
        """Codewords in place of the indices, zero in the padding: int8 (N, P, Kpad)."""
        if self.codebook is None or self.indices is None:
            raise ValueError(f"format {self.format.value} has no codebook")
        words = self.codebook[self.indices.to(torch.int64)].flatten(2)
        words[..., self.weight_shape[1] :] = 0
        return words

    def integer_weight(self) -> Tensor:
        """The integers that the scale multiplies: int8 (N, P, K).

        Of the formats with a codebook `codebook[index]`, times `1 - 2 * sign` for SSVQ and times `mask` for MVQ.

        Raises:
            ValueError: the format is FLOAT, which has no integers.
        """
        if self.weight_int8 is not None:
            return self.weight_int8
        words = self._words()
        if self.signs is not None:
            words = torch.where(self.signs, -words, words)
        if self.mask is not None:
            words = words * self.mask
        return words[..., : self.weight_shape[1]].contiguous()

    def decode(self) -> Tensor:
        """The weights, float32 of `weight_shape`: `scale * integer_weight()`."""
        if self.weight_float is not None:
            return self.weight_float.clone()
        return from_rows(self.scale[:, None, None] * self.integer_weight().to(torch.float32), self.weight_shape)

    def module_weight(self) -> Tensor:
        """`decode()` in the shape that the weight has in the layer's PyTorch module."""
        return from_canonical(self.decode(), self.kind, self.groups).contiguous()

    @property
    def storage(self) -> Storage:
        """Bits of every part."""
        return count_bits(self, self.scale.numel())

    @property
    def storage_bits(self) -> int:
        """All bits of the weights: indices, signs and mask with padding, codebook, scales; the bias is not counted."""
        return self.storage.total

    @property
    def bits_per_weight(self) -> float:
        """`storage_bits` for each real weight."""
        return self.storage_bits / self.weight_count


def _check_tensor(field: str, tensor: Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    if tensor.dtype != dtype:
        raise LayerError(field, f"must be {dtype}, not {tensor.dtype}")
    if tuple(tensor.shape) != shape:
        raise LayerError(field, f"must have shape {shape}, not {tuple(tensor.shape)}")
    if dtype == torch.float32 and not bool(torch.isfinite(tensor).all()):
        raise LayerError(field, "must be finite")
