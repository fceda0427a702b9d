"""The trainable form of SSVQ: latent signs, codebook and scales learn; the indices stay.

`W = scale * codebook[index] * sign(L)` with a latent value L for every weight. Backward is that of the SSVQ paper: the
straight-through estimator `dL/dL_s = dL/dW * scale * codeword magnitude` for the latent signs, and for a codeword the
sum over its subvectors of `dL/dW * scale * sign`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from ssvq.quantize.layer import CompressedLayer
from ssvq.train.codewords import CodewordIndices, codeword_sums
from ssvq.train.parametrization import (
    CODEWORD_STEP,
    ScaleParameter,
    WeightParametrization,
    initial_codes,
    integer_codebook,
)


class _Decode(torch.autograd.Function):
    """Rows (N, P, Kpad) of latents (N, P, Kpad), codewords (k, d), scale (N,) or (1,) and `CodewordIndices`.

    Written by hand because it keeps nothing of the weight's size between forward and backward but the latents, which
    stay in memory anyway.
    """

    @staticmethod
    def forward(
        ctx: Any, latent: Tensor, codewords: Tensor, scale: Tensor, indices: Tensor, order: Tensor, starts: Tensor
    ) -> Tensor:
        ctx.save_for_backward(latent, codewords, scale, indices, order, starts)
        magnitudes = functional.embedding(indices, codewords).view_as(latent)
        return magnitudes.copysign_(latent + 0.0).mul_(scale[:, None, None])  # -0 is positive, as for `<`

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None, None]:
        latent, codewords, scale, indices, order, starts = ctx.saved_tensors
        needs_latent, needs_codewords, needs_scale, *_ = ctx.needs_input_grad
        magnitudes = functional.embedding(indices, codewords).view_as(gradient)
        for_latent = for_codewords = for_scale = None
        if needs_codewords or needs_scale:
            unsigned = torch.copysign(gradient.new_ones(()), latent + 0.0).mul_(gradient)
            if needs_scale:
                over = (0, 1, 2) if scale.numel() == 1 else (1, 2)
                for_scale = (unsigned * magnitudes).sum(over).view_as(scale)
            if needs_codewords:
                scaled = unsigned.mul_(scale[:, None, None]).reshape(-1, codewords.shape[1])
                for_codewords = codeword_sums(scaled, order, starts)
        if needs_latent:
            for_latent = magnitudes.mul_(gradient).mul_(scale[:, None, None])
        return for_latent, for_codewords, for_scale, None, None, None


class SsvqWeight(WeightParametrization):
    """Sign-splitting vector quantization with learnable signs.

    The original is the latent sign L in the layout of the weight, negative below 0; it starts at `alpha * W`.

    Members:
        codebook: float32 (k, d), `CODEWORD_STEP` times the magnitudes; decoding rounds it to integers in 0..127.
        scale: of the output channels, (N,), or of the layer, (1,).
        codes: indices (N, P, Kpad / d) into the codebook.

    Args:
        layer: where to start; its signs are not used, those of the weight are.
        alpha: latent value of a weight of 1.
        learn_codebook, learn_scale: whether these receive gradients.
    """

    def __init__(
        self, layer: CompressedLayer, *, alpha: float = 1.0, learn_codebook: bool = True, learn_scale: bool = True
    ) -> None:
        super().__init__(layer)
        codebook, indices = initial_codes(layer)
        self.alpha = alpha
        self.codebook = nn.Parameter(codebook, requires_grad=learn_codebook)
        self.scale = ScaleParameter(layer.scale / CODEWORD_STEP, learn=learn_scale)
        self.codes = CodewordIndices(indices, len(codebook))

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The latent signs with which a float weight starts."""
        return self.alpha * weight.detach()

    def forward(self, original: Tensor) -> Tensor:
        """The decoded weight, in the layout of the module."""
        codewords = integer_codebook(self.codebook, low=0)
        scale = self.scale() * CODEWORD_STEP
        codes = self.codes
        rows: Tensor = _Decode.apply(  # type: ignore[no-untyped-call]
            self._rows(original), codewords, scale, codes.indices, codes.order, codes.starts
        )
        return self._from_rows(rows)

    @torch.no_grad()
    def compress(self, original: Tensor) -> CompressedLayer:
        """See `WeightParametrization`."""
        codebook = integer_codebook(self.codebook, low=0).to(torch.int8)
        signs = (self._rows(original) < 0) & (functional.embedding(self.codes.indices, codebook).flatten(2) != 0)
        signs[..., self.description.weight_shape[1] :] = False
        return self._compressed(
            codebook=codebook,
            indices=self.codes.indices.to(torch.int16),
            signs=signs,
            scale=self.scale() * CODEWORD_STEP,
        )
