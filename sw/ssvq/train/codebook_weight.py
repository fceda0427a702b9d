"""The trainable form of conventional and masked vector quantization: codebook and scales learn; the rest stays."""

from __future__ import annotations

import torch
from torch import Tensor

from ssvq.quantize.formats import CODEWORD_MAX
from ssvq.quantize.layer import CompressedLayer
from ssvq.train.codewords import CodewordIndices
from ssvq.train.parametrization import (
    CODEWORD_STEP,
    ScaleParameter,
    WeightParametrization,
    initial_codes,
    integer_codebook,
)


class CodebookWeight(WeightParametrization):
    """Vector quantization with signed codewords and a fine-tuned codebook; masked (MVQ) where the layer has a mask.

    `W = scale * codebook[index] * mask`. The original is the codebook, float32 (k, d) in units of `CODEWORD_STEP`;
    decoding rounds it to integers in -127..127.

    Members:
        scale: of the output channels, (N,), or of the layer, (1,).
        codes: indices (N, P, Kpad / d) into the codebook.
        mask: bool buffer (N, P, Kpad), or None.
    """

    mask: Tensor | None

    def __init__(self, layer: CompressedLayer, *, learn_scale: bool = True) -> None:
        super().__init__(layer)
        start, indices = initial_codes(layer)
        self._start: Tensor | None = start
        self.scale = ScaleParameter(layer.scale / CODEWORD_STEP, learn=learn_scale)
        self.codes = CodewordIndices(indices, len(start))
        self.register_buffer("mask", layer.mask)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The codebook of the layer that training starts from, once.

        Raises:
            ValueError: a weight is assigned later; it has no codes.
        """
        if self._start is None:
            name, form = self.description.name, self.description.format.value
            raise ValueError(f"{name}: the weight of a layer in format {form} cannot be assigned; prepare it again")
        start, self._start = self._start, None
        return start.to(weight.device)

    def forward(self, original: Tensor) -> Tensor:
        """The decoded weight, in the layout of the module."""
        words = self.codes.lookup(integer_codebook(original, low=-CODEWORD_MAX)).flatten(2)
        if self.mask is not None:
            words = words * self.mask
        return self._from_rows(words * (self.scale() * CODEWORD_STEP)[:, None, None])

    @torch.no_grad()
    def compress(self, original: Tensor) -> CompressedLayer:
        """See `WeightParametrization`."""
        return self._compressed(
            codebook=integer_codebook(original, low=-CODEWORD_MAX).to(torch.int8),
            indices=self.codes.indices.to(torch.int16),
            mask=self.mask,
            scale=self.scale() * CODEWORD_STEP,
        )
