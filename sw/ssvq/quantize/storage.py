"""The bits that a stored layer takes."""

from __future__ import annotations

from dataclasses import dataclass

from ssvq.quantize.description import LayerDescription, padded
from ssvq.quantize.formats import WeightFormat
from ssvq.quantize.masks import pattern_bits


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Bits of each part of a compressed layer. The bias is not counted: it is the same in every format.

    Attributes:
        indices: log2(k) bits for every subvector, padded ones included.
        signs: one bit for every sign, those of padding included.
        mask: ceil(log2(C(group, keep))) bits for every group, padded ones included.
        codebook: 8 bits for every element of the codebook.
        scales: 32 bits for every scale.
        weights: the dense weights of the formats without a codebook.
        padding: those of the bits of `indices`, `signs` and `mask` that exist because of padding, in proportion.
    """

    indices: int = 0
    signs: int = 0
    mask: int = 0
    codebook: int = 0
    scales: int = 0
    weights: int = 0
    padding: float = 0.0

    @property
    def total(self) -> int:
        """All bits; `padding` is a part of the others."""
        return self.indices + self.signs + self.mask + self.codebook + self.scales + self.weights


def count_bits(layer: LayerDescription, scale_count: int) -> Storage:
    """The bits of a layer with `scale_count` scales."""
    if layer.format is WeightFormat.FLOAT:
        return Storage(weights=32 * layer.weight_count)
    if layer.codebook_size is None or layer.vector_dim is None:
        return Storage(scales=32 * scale_count, weights=layer.format.bits * layer.weight_count)
    channels = layer.weight_shape[1]
    padded_count = layer.weight_count // channels * padded(channels, layer.vector_dim)
    indices = padded_count // layer.vector_dim * (layer.codebook_size.bit_length() - 1)
    signs = padded_count if layer.format is WeightFormat.SSVQ else 0
    mask = 0
    if layer.pattern is not None:
        keep, group = layer.pattern
        mask = padded_count // group * pattern_bits(keep, group)
    return Storage(
        indices=indices,
        signs=signs,
        mask=mask,
        codebook=8 * layer.codebook_size * layer.vector_dim,
        scales=32 * scale_count,
        padding=(indices + signs + mask) * (padded_count - layer.weight_count) / padded_count,
    )
