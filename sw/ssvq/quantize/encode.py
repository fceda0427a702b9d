"""From float weights to a `CompressedLayer`."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ssvq.quantize._threads import threads_for
from ssvq.quantize.codebook import train
from ssvq.quantize.description import LayerDescription, LayerKind, to_rows
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.quantize.importance import expand_importance
from ssvq.quantize.layer import CompressedLayer
from ssvq.quantize.masks import choose_mask
from ssvq.quantize.search import first_occurrences, nearest, wide_dtype
from ssvq.quantize.target import Target
from ssvq.quantize.uniform import round_uniform, uniform_scale

MAGNITUDE_MAX = 1e30
"""Largest accepted weight; squares and sums of larger ones could overflow."""


class Assignment(NamedTuple):
    """Result of `assign`: indices int16 (N, P, Kpad / d), and signs bool (N, P, Kpad) for SSVQ, else None."""

    indices: Tensor
    signs: Tensor | None


def assign(
    weight: Tensor,
    codebook: Tensor,
    scale: Tensor,
    *,
    format: WeightFormat = WeightFormat.SSVQ,
    importance: Tensor | None = None,
    groups: int = 1,
    mask: Tensor | None = None,
) -> Assignment:
    """Best indices and signs for a given codebook and scales.

    Assigning the weights decoded from a representation gives the same representation again.

    Args:
        weight: float32, canonical, (N, K) or (N, K, kh, kw).
        codebook: int8 (k, d).
        scale: float32 (N,) or (1,). A channel of scale 0 is treated as all zeros.
        format: SSVQ, VQ or MVQ.
        importance, groups: as in `expand_importance`; None counts all weights alike.
        mask: bool (N, P, Kpad), True where a weight is kept; for MVQ and no other format.

    Raises:
        TypeError, ValueError: the format has no codebook, or an argument is not so.
    """
    if not format.has_codebook:
        raise ValueError(f"format must be ssvq, vq or mvq to assign codewords, not {format.value}")
    if (mask is None) == (format is WeightFormat.MVQ):
        raise ValueError(f"mask must {'be given' if mask is None else 'be None'} for format {format.value}")
    target = Target.make(weight, codebook.shape[1], format, importance=importance, groups=groups, mask=mask)
    rows = target.rows
    points = target.points(scale)
    with threads_for(weight.numel() * codebook.shape[0]):
        # of equal codewords the first, so that equal weights have one representation
        distinct = first_occurrences(codebook)
        words = codebook[distinct].to(torch.float32)
        found = nearest(points.values, words, elements=points.elements, exact=True).indices
    indices = distinct[found].view(rows.shape[0], rows.shape[1], -1)
    if format is not WeightFormat.SSVQ:
        return Assignment(indices.to(torch.int16), None)
    # the sign of a zero is positive, whether it is a weight, a codeword element or a whole channel
    negative = (to_rows(weight) < 0) & (scale[:, None, None] > 0)
    signs = torch.nn.functional.pad(negative, (0, target.width - rows.shape[2]))
    signs &= codebook[indices].flatten(2) != 0
    return Assignment(indices.to(torch.int16), signs)


def encode(
    weight: Tensor,
    config: QuantizeConfig,
    importance: Tensor | None = None,
    *,
    bias: Tensor | None = None,
    name: str = "layer",
    kind: LayerKind | None = None,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    output_padding: int = 0,
) -> CompressedLayer:
    """Compress the weights of one layer.

    Args:
        weight: floating point, canonical: (N, K) of a linear layer or (N, K, kh, kw) of a convolution.
        config: format and settings.
        importance: how much squared errors count, as in `expand_importance`: the second moments E[x^2] of the layer's
            input channels. None counts all weights alike.
        bias: (N,) or None; stored as float32.
        name: the layer's name.
        kind: None takes a weight of four dimensions as that of a "conv2d".
        stride, padding, dilation, groups, output_padding: of a convolution.

    Returns:
        The layer, on the device of `weight`. The same arguments give the same layer.

    Raises:
        TypeError: `weight` or `importance` is not floating point.
        ValueError: wrong number of dimensions, non-finite or huge values, more codewords than subvectors.
        LayerError: the geometry is not that of such a layer.
    """
    if not weight.is_floating_point():
        raise TypeError(f"{name}: weight must be floating point, not {weight.dtype}")
    if weight.ndim not in (2, 4) or weight.numel() == 0:
        raise ValueError(f"{name}: weight must be a non-empty (N, K) or (N, K, kh, kw), not {tuple(weight.shape)}")
    weight = weight.detach().to(torch.float32)
    _require_finite(f"{name}: weight", weight)
    if bias is not None:
        bias = bias.detach().to(torch.float32).clone()
        _require_finite(f"{name}: bias", bias)
    description = LayerDescription(
        name=name,
        kind=kind or ("linear" if weight.ndim == 2 else "conv2d"),
        format=config.format,
        weight_shape=tuple(weight.shape),
        codebook_size=config.codebook_size,
        vector_dim=config.vector_dim,
        keep=config.keep,
        group=config.group,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        output_padding=output_padding,
    )
    if importance is not None:
        try:
            expand_importance(importance, weight, groups)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from None
    return CompressedLayer(**vars(description), **_encode(weight, config, importance, groups, name), bias=bias)


def _encode(
    weight: Tensor, config: QuantizeConfig, importance: Tensor | None, groups: int, name: str
) -> dict[str, Any]:
    """The tensors of a `CompressedLayer`, by the names of their fields."""
    if config.format is WeightFormat.FLOAT:
        return {"weight_float": weight.clone(), "scale": weight.new_ones(1)}
    if config.format.is_uniform:
        scale = uniform_scale(
            weight, config.format, scale=config.scale, clip=config.clip, importance=importance, groups=groups
        )
        return {"weight_int8": round_uniform(weight, scale, config.format), "scale": scale}
    size, dim = config.codebook
    mask = None
    if config.pattern is not None:
        mask = choose_mask(weight, *config.pattern, dim, importance=importance, groups=groups)
    target = Target.make(weight, dim, config.format, importance=importance, groups=groups, mask=mask)
    if target.count < size:
        raise ValueError(f"{name}: codebook_size must be at most the layer's {target.count} subvectors, not {size}")
    with threads_for(weight.numel() * size):
        codebook, scale = train(target, config)
    indices, signs = assign(
        weight, codebook, scale, format=config.format, importance=importance, groups=groups, mask=mask
    )
    return {"codebook": codebook, "scale": scale, "indices": indices, "signs": signs, "mask": mask}


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
