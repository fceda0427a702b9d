"""Training of a layer's codebook.

The scale of an output channel starts at the root mean square of its weights, so that all channels share one codebook
at equal footing. k-means then minimises the squared error of the *weights*, not of the normalised values: a subvector
counts with the square of its channel's scale. Afterwards assignment, codebook and scales are improved in turn, the
scale of a channel as the least-squares fit of its decoded values. On six linear layers of MiniLM (k=16, d=8) this gave
a mean SQNR of 7.05 dB; without weighting and least squares it was 6.89 dB with the root mean square and 5.86 dB with
the largest magnitude as the scale; one scale for the whole layer gives 6.67 dB. Last, the codebook is rounded to int8
with its largest magnitude at 127, which moves the factor cmax / 127 into the scales.

k-means itself needs no more than a sample of the subvectors, as the rounds of improvement take all: all 36 linear
layers of MiniLM take a fifth of the time with 512 for each codeword, at the same SQNR within 0.01 dB.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ssvq.quantize.formats import CODEWORD_MAX, QuantizeConfig, WeightFormat
from ssvq.quantize.kmeans import OVERSHOOT, kmeans, update_codebook
from ssvq.quantize.target import MAGNITUDE_MIN, Target

SUBVECTORS_PER_CODEWORD = 512
SUBVECTORS_MAX = 131_072
"""Subvectors of k-means where `QuantizeConfig` gives no number."""
SUBVECTORS_PER_CODEWORD_MIN = 32


def train(target: Target, config: QuantizeConfig) -> tuple[Tensor, Tensor]:
    """Codebook int8 (k, d) and scale float32 (N,) or (1,) for a layer's weights; at least k subvectors."""
    size, _ = config.codebook
    scale = target.first_scale(config.scale)
    scale = torch.where(scale >= MAGNITUDE_MIN * CODEWORD_MAX, scale, 0.0)
    generator = torch.Generator().manual_seed(config.seed)
    limit = config.train_subvectors or min(SUBVECTORS_PER_CODEWORD * size, SUBVECTORS_MAX)
    limit = max(limit, SUBVECTORS_PER_CODEWORD_MIN * size)
    points = target.points(scale)
    training = points if points.count <= limit else points.sample(limit, generator)
    codebook = kmeans(training, size, iterations=config.iterations, generator=generator)
    for number in range(config.refine_rounds):
        match = points.nearest(codebook)
        scale = target.fitted_scale(points, match, codebook, scale)
        points = target.points(scale)
        last = number == config.refine_rounds - 1
        codebook = update_codebook(points, match.indices, codebook, step=1 if last else OVERSHOOT)

    if config.format is WeightFormat.SSVQ:
        # a codeword that lost its last subvector stayed where it was, and that may be beyond zero
        codebook = codebook.clamp(min=0)
    largest = float(codebook.abs().max())
    factor = CODEWORD_MAX / largest if largest > 0 else 1.0
    integers = (codebook * factor).round()
    scale = torch.where(scale / factor >= MAGNITUDE_MIN, scale / factor, 0.0)
    points = target.points(scale)
    scale = target.fitted_scale(points, points.nearest(integers), integers, scale)
    return integers.to(torch.int8), scale
