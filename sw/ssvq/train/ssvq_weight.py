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
from ssvq.train.parametrization import (
    CODEWORD_STEP,
    ScaleParameter,
    WeightParametrization,
    codes,
    integer_codebook,
)


class _Decode(torch.autograd.Function):
    """Rows (N, P, Kpad) of latents (N, P, Kpad), codewords (k, d), scale (N,) or (1,) and indices (N, P, Kpad / d).

    Written by hand because it keeps nothing of the weight's size but one byte of sign between forward and backward.
    """

    @staticmethod
    def forward(ctx: Any, latent: Tensor, codewords: Tensor, scale: Tensor, indices: Tensor) -> Tensor:
        ctx.save_for_backward(latent < 0, codewords, scale, indices)
        magnitudes = functional.embedding(indices, codewords).view_as(latent)
        return magnitudes.copysign_(latent + 0.0).mul_(scale[:, None, None])  # -0 is positive, as for `<`

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        negative, codewords, scale, indices = ctx.saved_tensors
        needs_latent, needs_codewords, needs_scale, _ = ctx.needs_input_grad
        magnitudes = functional.embedding(indices, codewords).view_as(gradient)
        for_latent = for_codewords = for_scale = None
        if needs_codewords or needs_scale:
            unsigned = torch.where(negative, -gradient, gradient)
            if needs_scale:
                over = (0, 1, 2) if scale.numel() == 1 else (1, 2)
                for_scale = (unsigned * magnitudes).sum(over).view_as(scale)
            if needs_codewords:
                scaled = unsigned.mul_(scale[:, None, None]).reshape(-1, codewords.shape[1])
                for_codewords = torch.zeros_like(codewords).index_add_(0, indices.flatten(), scaled)
        if needs_latent:
            for_latent = magnitudes.mul_(gradient).mul_(scale[:, None, None])
        return for_latent, for_codewords, for_scale, None


class SsvqWeight(WeightParametrization):
    """Sign-splitting vector quantization with learnable signs.

    The original is the latent sign L in the layout of the weight, negative below 0; it starts at `alpha * W`.

    Members:
        codebook: float32 (k, d), `CODEWORD_STEP` times the magnitudes; decoding rounds it to integers in 0..127.
        scale: of the output channels, (N,), or of the layer, (1,).
        indices: int32 buffer (N, P, Kpad / d).

    Args:
        layer: where to start; its signs are not used, those of the weight are.
        alpha: latent value of a weight of 1.
        learn_codebook, learn_scale: whether these receive gradients.
    """

    indices: Tensor

    def __init__(
        self, layer: CompressedLayer, *, alpha: float = 1.0, learn_codebook: bool = True, learn_scale: bool = True
    ) -> None:
        super().__init__(layer)
        codebook, indices = codes(layer)
        self.alpha = alpha
        self.codebook = nn.Parameter(codebook, requires_grad=learn_codebook)
        self.scale = ScaleParameter(layer.scale / CODEWORD_STEP, learn=learn_scale)
        self.register_buffer("indices", indices)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The latent signs with which a float weight starts."""
        return self.alpha * weight.detach()

    def forward(self, original: Tensor) -> Tensor:
        """The decoded weight, in the layout of the module."""
        codewords = integer_codebook(self.codebook, low=0)
        scale = self.scale() * CODEWORD_STEP
        rows: Tensor = _Decode.apply(self._rows(original), codewords, scale, self.indices)  # type: ignore[no-untyped-call]
        return self._from_rows(rows)

    @torch.no_grad()
    def compress(self, original: Tensor) -> CompressedLayer:
        """See `WeightParametrization`."""
        codebook = integer_codebook(self.codebook, low=0).to(torch.int8)
        signs = (self._rows(original) < 0) & (functional.embedding(self.indices, codebook).flatten(2) != 0)
        signs[..., self.description.weight_shape[1] :] = False
        return self._compressed(
            codebook=codebook, indices=self.indices.to(torch.int16), signs=signs, scale=self.scale() * CODEWORD_STEP
        )
