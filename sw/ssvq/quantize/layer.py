"""A compressed layer: the tensors that are stored, and how weights are decoded from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ssvq.quantize.description import LayerDescription, LayerError, from_rows, padded
from ssvq.quantize.formats import CODEWORD_MAX, WeightFormat


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Bits of each part of a compressed layer. The bias is not counted: it is the same in every format.

    Attributes:
        indices: log2(k) bits for every subvector, padded ones included.
        signs: one bit for every sign, those of padding included.
        codebook: 8 bits for every element of the codebook.
        scales: 32 bits for every scale.
        weights: the dense weights of the formats without a codebook.
        padding: those of the bits of `indices` and `signs` that exist because of padding, in proportion.
    """

    indices: int
    signs: int
    codebook: int
    scales: int
    weights: int
    padding: float

    @property
    def total(self) -> int:
        """All bits; `padding` is a part of the others."""
        return self.indices + self.signs + self.codebook + self.scales + self.weights


@dataclass(frozen=True, kw_only=True, eq=False)
class CompressedLayer(LayerDescription):
    """One layer in a stored representation. Checked when made; raises `LayerError` naming the field and the rule.

    Attributes (further to those of `LayerDescription`):
        codebook: int8 (k, d), 0..127 for SSVQ and -127..127 for VQ.
        indices: int16 (N, P, Kpad / d), 0..k-1.
        signs: bool (N, P, Kpad), True = negative; SSVQ only. False in the padding and where the codeword element is
            zero, so that equal weights have one representation.
        weight_int8: int8 (N, P, K), -127..127; INT8 only.
        weight_float: float32 of `weight_shape`; FLOAT only.
        scale: float32 (N,) or (1,), >= 0; (1,) of 1.0 and not stored for FLOAT.
        bias: float32 (N,) or None.
    """

    codebook: Tensor | None = None
    indices: Tensor | None = None
    signs: Tensor | None = None
    weight_int8: Tensor | None = None
    weight_float: Tensor | None = None
    scale: Tensor
    bias: Tensor | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        shapes = self.weight_tensors()
        for field in ("codebook", "indices", "signs", "weight_int8", "weight_float"):
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
        self._check_ranges()

    def _check_ranges(self) -> None:
        low = 0 if self.format is WeightFormat.SSVQ else -CODEWORD_MAX
        limits = {"codebook": (low, CODEWORD_MAX), "weight_int8": (low, CODEWORD_MAX)}
        limits["indices"] = (0, (self.codebook_size or 1) - 1)
        for field, (least, most) in limits.items():
            tensor: Tensor | None = getattr(self, field)
            if tensor is not None and not least <= int(tensor.min()) <= int(tensor.max()) <= most:
                found = f"{int(tensor.min())}..{int(tensor.max())}"
                raise LayerError(field, f"must hold values in {least}..{most}, not {found}")
        if self.signs is not None and bool((self.signs & (self._words() == 0)).any()):
            raise LayerError("signs", "must be False in the padding and where the codeword element is 0")

    def _words(self) -> Tensor:
        """Codewords in place of the indices, zero in the padding: int8 (N, P, Kpad)."""
        if self.codebook is None or self.indices is None:
            raise ValueError(f"format {self.format.value} has no codebook")
        words = self.codebook[self.indices.to(torch.int64)].flatten(2)
        words[..., self.weight_shape[1] :] = 0
        return words

    def integer_weight(self) -> Tensor:
        """The integers that the hardware multiplies: int8 (N, P, K), `codebook[index] * (1 - 2 * sign)`.

        Raises:
            ValueError: the format is FLOAT, which has no integers.
        """
        if self.weight_int8 is not None:
            return self.weight_int8
        words = self._words()
        if self.signs is not None:
            words = torch.where(self.signs, -words, words)
        return words[..., : self.weight_shape[1]].contiguous()

    def decode(self) -> Tensor:
        """The weights, float32 of `weight_shape`: `scale * integer_weight()`."""
        if self.weight_float is not None:
            return self.weight_float.clone()
        return from_rows(self.scale[:, None, None] * self.integer_weight().to(torch.float32), self.weight_shape)

    @property
    def storage(self) -> Storage:
        """Bits of every part."""
        if self.codebook_size is None or self.vector_dim is None:
            bits = 8 if self.format is WeightFormat.INT8 else 32
            scales = 32 * self.scale.numel() if self.format is WeightFormat.INT8 else 0
            return Storage(indices=0, signs=0, codebook=0, scales=scales, weights=bits * self.weight_count, padding=0.0)
        channels = self.weight_shape[1]
        padded_count = self.weight_count // channels * padded(channels, self.vector_dim)
        indices = padded_count // self.vector_dim * (self.codebook_size.bit_length() - 1)
        signs = padded_count if self.format is WeightFormat.SSVQ else 0
        return Storage(
            indices=indices,
            signs=signs,
            codebook=8 * self.codebook_size * self.vector_dim,
            scales=32 * self.scale.numel(),
            weights=0,
            padding=(indices + signs) * (padded_count - self.weight_count) / padded_count,
        )

    @property
    def storage_bits(self) -> int:
        """All bits of the weights: indices and signs with their padding, codebook, scales; the bias is not counted."""
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
