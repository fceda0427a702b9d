"""From float weights to a `CompressedLayer`.

The scale of an output channel starts at the root mean square of its weights, so that all channels share one codebook
at equal footing. k-means then minimises the squared error of the *weights*, not of the normalised values: a subvector
counts with the square of its channel's scale. Afterwards assignment, codebook and scales are improved in turn, the
scale of a channel as the least-squares fit of its decoded values. On six linear layers of MiniLM (k=16, d=8) this gave
a mean SQNR of 7.05 dB; without weighting and least squares it was 6.89 dB with the root mean square and 5.86 dB with
the largest magnitude as the scale; one scale for the whole layer gives 6.67 dB. Last, the codebook is rounded to int8
with its largest magnitude at 127, which moves the factor cmax / 127 into the scales.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ssvq.quantize._threads import threads_for
from ssvq.quantize.description import LayerKind, padded, to_rows
from ssvq.quantize.formats import CODEWORD_MAX, QuantizeConfig, ScaleKind, WeightFormat
from ssvq.quantize.kmeans import Subvectors, kmeans, nearest, update_codebook, wide_dtype
from ssvq.quantize.layer import CompressedLayer

MAGNITUDE_MAX = 1e30
"""Largest accepted weight; squares and sums of larger ones could overflow."""
MAGNITUDE_MIN = 1e-30
"""Smallest scale other than 0; a channel that would need a smaller one is stored as zeros."""
INTEGER_ROUNDS = 3
"""Rounds of assignment and least-squares scales after the codebook has been rounded."""
TRAIN_SUBVECTORS_PER_CODEWORD_MIN = 32


class Assignment(NamedTuple):
    """Result of `assign`: indices int16 (N, P, Kpad / d), and signs bool (N, P, Kpad) for SSVQ, else None."""

    indices: Tensor
    signs: Tensor | None


def assign(weight: Tensor, codebook: Tensor, scale: Tensor, *, format: WeightFormat = WeightFormat.SSVQ) -> Assignment:
    """Best indices and signs for a given codebook and scales.

    Assigning the weights decoded from a representation gives the same representation again.

    Args:
        weight: float32 (N, K) or (N, K, kh, kw).
        codebook: int8 (k, d).
        scale: float32 (N,) or (1,). A channel of scale 0 is treated as all zeros.
        format: SSVQ or VQ.

    Raises:
        ValueError: the format has no codebook.
    """
    if not format.has_codebook:
        raise ValueError(f"format must be ssvq or vq to assign codewords, not {format.value}")
    rows = to_rows(weight)
    points = _subvectors(rows, scale, codebook.shape[1], format)
    with threads_for(weight.numel() * codebook.shape[0]):
        found, _ = nearest(points.values, codebook.to(torch.float32), tail=points.tail, tail_width=points.tail_width)
    width = padded(rows.shape[2], codebook.shape[1])
    indices = found.view(rows.shape[0], rows.shape[1], -1)
    if format is WeightFormat.VQ:
        return Assignment(indices.to(torch.int16), None)
    # the sign of a zero is positive, whether it is a weight, a codeword element or a whole channel
    signs = torch.nn.functional.pad((rows < 0) & (scale[:, None, None] > 0), (0, width - rows.shape[2]))
    signs &= codebook[indices].flatten(2) != 0
    return Assignment(indices.to(torch.int16), signs)


def encode(
    weight: Tensor,
    config: QuantizeConfig,
    *,
    bias: Tensor | None = None,
    name: str = "layer",
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> CompressedLayer:
    """Compress the weights of one layer.

    Args:
        weight: floating point (N, K) of a linear layer or (N, K, kh, kw) of a convolution.
        config: format and settings.
        bias: (N,) or None; stored as float32.
        name: the layer's name.
        stride, padding, dilation, groups: of a convolution.

    Returns:
        The layer, on the device of `weight`. The same arguments give the same layer.

    Raises:
        TypeError: `weight` is not floating point.
        ValueError: wrong number of dimensions, non-finite or huge values, more codewords than subvectors.
    """
    if not weight.is_floating_point():
        raise TypeError(f"{name}: weight must be floating point, not {weight.dtype}")
    if weight.ndim not in (2, 4) or weight.numel() == 0:
        raise ValueError(f"{name}: weight must be a non-empty (N, K) or (N, K, kh, kw), not {tuple(weight.shape)}")
    weight = weight.detach().to(torch.float32)
    kind: LayerKind = "linear" if weight.ndim == 2 else "conv2d"
    _require_finite(f"{name}: weight", weight)
    if bias is not None:
        bias = bias.detach().to(torch.float32).clone()
        _require_finite(f"{name}: bias", bias)

    codebook = indices = signs = weight_int8 = weight_float = None
    if config.format is WeightFormat.FLOAT:
        weight_float, scale = weight.clone(), weight.new_ones(1)
    elif config.format is WeightFormat.INT8:
        weight_int8, scale = _encode_int8(to_rows(weight), config.scale)
    else:
        with threads_for(weight.numel() * config.codebook[0]):
            codebook, scale = _train(weight, config, name)
        indices, signs = assign(weight, codebook, scale, format=config.format)
    return CompressedLayer(
        name=name,
        kind=kind,
        format=config.format,
        weight_shape=tuple(weight.shape),
        codebook_size=config.codebook_size,
        vector_dim=config.vector_dim,
        codebook=codebook,
        indices=indices,
        signs=signs,
        weight_int8=weight_int8,
        weight_float=weight_float,
        scale=scale,
        bias=bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


def sqnr_db(weight: Tensor, decoded: Tensor) -> float:
    """Signal to quantization noise ratio in dB, `10 log10(sum w^2 / sum (w - decoded)^2)`; infinite when equal."""
    wide = wide_dtype(weight.device)
    signal = float(weight.detach().to(wide).square().sum())
    noise = float((weight.detach().to(wide) - decoded.to(wide)).square().sum())
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def _require_finite(what: str, tensor: Tensor) -> None:
    wrong = int((~torch.isfinite(tensor)).sum())
    if wrong:
        raise ValueError(f"{what} must be finite, {wrong} of {tensor.numel()} values are not")
    if float(tensor.abs().max()) > MAGNITUDE_MAX:
        raise ValueError(f"{what} must be at most {MAGNITUDE_MAX} in magnitude, not {float(tensor.abs().max())}")


def _encode_int8(rows: Tensor, kind: ScaleKind) -> tuple[Tensor, Tensor]:
    """Symmetric int8 with the largest magnitude of a channel (or the layer) at 127."""
    largest = rows.abs().amax((1, 2)) if kind == "channel" else rows.abs().max()[None]
    scale = torch.where(largest >= MAGNITUDE_MIN * CODEWORD_MAX, largest / CODEWORD_MAX, 0.0)
    integers = (_normalised(rows, scale)).round().clamp(-CODEWORD_MAX, CODEWORD_MAX)
    return integers.to(torch.int8).contiguous(), scale


def _normalised(rows: Tensor, scale: Tensor) -> Tensor:
    """rows / scale, zero where the scale is zero."""
    divisor = torch.where(scale > 0, scale, torch.inf)
    return rows / divisor[:, None, None]


def _subvectors(rows: Tensor, scale: Tensor, vector_dim: int, format: WeightFormat) -> Subvectors:
    """The k-means problem of rows (N, P, K) normalised by scale (N,) or (1,)."""
    values = _normalised(rows.abs() if format is WeightFormat.SSVQ else rows, scale)
    channels = rows.shape[2]
    width = padded(channels, vector_dim)
    values = torch.nn.functional.pad(values, (0, width - channels))
    count = width // vector_dim
    weights = (scale / scale.max().clamp(min=MAGNITUDE_MIN)).square()
    weights = weights[:, None, None].expand(rows.shape[0], rows.shape[1], count).flatten()
    tail = None
    if width != channels:
        tail = torch.arange(count, device=rows.device).eq(count - 1).repeat(rows.shape[0] * rows.shape[1])
    return Subvectors(
        values=values.reshape(-1, vector_dim), weights=weights, tail=tail, tail_width=channels % vector_dim
    )


def _fitted_scale(rows: Tensor, words: Tensor, scale: Tensor, format: WeightFormat) -> Tensor:
    """Least-squares scale for codewords (n, d) in place of the subvectors; keeps a scale that would not be positive."""
    wide = wide_dtype(rows.device)
    values = (rows.abs() if format is WeightFormat.SSVQ else rows).to(wide)
    decoded = words.view(rows.shape[0], rows.shape[1], -1)[..., : rows.shape[2]].to(wide)
    over: tuple[int, ...] = (1, 2) if scale.numel() > 1 or rows.shape[0] == 1 else (0, 1, 2)
    product, norm = (values * decoded).sum(over), decoded.square().sum(over)
    fitted = torch.where((product > 0) & (norm > 0), product / norm.clamp(min=1e-38), 0.0).to(torch.float32).view(-1)
    return torch.where((scale > 0) & (fitted >= MAGNITUDE_MIN), fitted, scale)


def _train(weight: Tensor, config: QuantizeConfig, name: str) -> tuple[Tensor, Tensor]:
    """Codebook int8 (k, d) and scale float32 (N,) or (1,)."""
    size, dim = config.codebook
    rows = to_rows(weight)
    square = rows.to(wide_dtype(rows.device)).square()
    scale = (square.mean((1, 2)) if config.scale == "channel" else square.mean()[None]).sqrt().to(torch.float32)
    scale = torch.where(scale >= MAGNITUDE_MIN * CODEWORD_MAX, scale, 0.0)
    points = _subvectors(rows, scale, dim, config.format)
    if points.count < size:
        raise ValueError(f"{name}: codebook_size must be at most the layer's {points.count} subvectors, not {size}")

    generator = torch.Generator().manual_seed(config.seed)
    limit = max(config.train_subvectors, TRAIN_SUBVECTORS_PER_CODEWORD_MIN * size)
    training = points if points.count <= limit else points.sample(limit, generator)
    codebook = kmeans(training, size, iterations=config.iterations, generator=generator)
    for _ in range(config.refine_rounds):
        points = _subvectors(rows, scale, dim, config.format)
        indices, distances = nearest(points.values, codebook, tail=points.tail, tail_width=points.tail_width)
        codebook = update_codebook(points, indices, distances, codebook)
        scale = _fitted_scale(rows, codebook[indices], scale, config.format)

    largest = float(codebook.abs().max())
    factor = CODEWORD_MAX / largest if largest > 0 else 1.0
    integers = (codebook * factor).round()
    scale = torch.where(scale / factor >= MAGNITUDE_MIN, scale / factor, 0.0)
    for _ in range(INTEGER_ROUNDS):
        points = _subvectors(rows, scale, dim, config.format)
        indices, _ = nearest(points.values, integers, tail=points.tail, tail_width=points.tail_width)
        scale = _fitted_scale(rows, integers[indices], scale, config.format)
    return integers.to(torch.int8), scale
