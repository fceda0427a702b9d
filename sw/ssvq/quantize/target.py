"""What codewords have to represent: a layer's weights as subvectors, and how much each of them counts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ssvq.quantize.description import padded, to_rows
from ssvq.quantize.formats import ScaleKind, WeightFormat
from ssvq.quantize.importance import expand_importance
from ssvq.quantize.kmeans import Subvectors
from ssvq.quantize.search import Match, wide_dtype

MAGNITUDE_MIN = 1e-30
"""Smallest scale other than 0; a channel that would need a smaller one is stored as zeros."""


def normalised(rows: Tensor, scale: Tensor) -> Tensor:
    """rows / scale, zero where the scale is zero; (N, P, K) and (N,) or (1,)."""
    divisor = torch.where(scale > 0, scale, torch.inf)
    return rows / divisor[:, None, None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """The weights that codewords represent.

    Attributes:
        rows: float32 (N, P, K), magnitudes for SSVQ.
        counts: float32 (N, P, Kpad), how much the squared error of each weight counts, 0 for padding and for weights
            that a mask removes; None when all count alike and there is no padding.
        vector_dim: d.
    """

    rows: Tensor
    counts: Tensor | None
    vector_dim: int

    @classmethod
    def make(
        cls,
        weight: Tensor,
        vector_dim: int,
        format: WeightFormat,
        *,
        importance: Tensor | None = None,
        groups: int = 1,
        mask: Tensor | None = None,
    ) -> Target:
        """The target of a canonical weight; importance and groups as in `expand_importance`, mask bool (N, P, Kpad)."""
        rows = to_rows(weight)
        channels = rows.shape[2]
        width = padded(channels, vector_dim)
        counts = None
        if importance is not None or mask is not None or width != channels:
            counts = rows.new_ones((1, 1, channels))
            if importance is not None:
                counts = expand_importance(importance, weight, groups)
            counts = torch.nn.functional.pad(counts, (0, width - channels)).expand(*rows.shape[:2], width)
            if mask is not None:
                counts = counts * mask
        if format is WeightFormat.SSVQ:
            rows = rows.abs()
        return cls(rows=rows, counts=counts, vector_dim=vector_dim)

    @property
    def width(self) -> int:
        """Kpad."""
        return padded(self.rows.shape[2], self.vector_dim)

    @property
    def count(self) -> int:
        """Number of subvectors."""
        return self.rows.shape[0] * self.rows.shape[1] * (self.width // self.vector_dim)

    def first_scale(self, kind: ScaleKind) -> Tensor:
        """Root mean square of the weights that count, float32 (N,) or (1,); 0 for a channel that is stored as zeros."""
        square = self.rows.to(wide_dtype(self.rows.device)).square()
        if self.counts is None:
            mean = square.mean((1, 2)) if kind == "channel" else square.mean()[None]
        else:
            there = (self.counts[..., : self.rows.shape[2]] > 0).to(square.dtype)
            over: tuple[int, ...] = (1, 2) if kind == "channel" else (0, 1, 2)
            mean = ((square * there).sum(over) / there.sum(over).clamp(min=1)).view(-1)
        return mean.sqrt().to(torch.float32)

    def points(self, scale: Tensor) -> Subvectors:
        """The k-means problem of the weights normalised by a scale (N,) or (1,).

        Its error is that of the weights, but for a common factor: a subvector counts with the square of its scale.
        """
        values = normalised(self.rows, scale)
        if self.counts is not None:
            values = torch.nn.functional.pad(values, (0, self.width - self.rows.shape[2]))
            # a codeword that starts at a subvector must not get, and keep, values that count nowhere
            values = torch.where(self.counts > 0, values, 0.0)
        weights = (scale / scale.max().clamp(min=MAGNITUDE_MIN)).square()
        shape = (self.rows.shape[0], self.rows.shape[1], self.width // self.vector_dim)
        return Subvectors(
            values=values.reshape(-1, self.vector_dim),
            weights=weights[:, None, None].expand(shape).flatten(),
            elements=None if self.counts is None else self.counts.reshape(-1, self.vector_dim),
        )

    def fitted_scale(self, points: Subvectors, match: Match, codebook: Tensor, scale: Tensor) -> Tensor:
        """Least-squares scale of the weights for the codewords that represent them.

        Args:
            points: `self.points(scale)`.
            match: their nearest codewords of `codebook`, float32 (k, d).
            scale: float32 (N,) or (1,).

        Returns:
            float32 of the shape of `scale`; one that would not be positive stays as it is.
        """
        if points.elements is None:
            norms = codebook.square().sum(1).index_select(0, match.indices)
        else:
            norms = (codebook.index_select(0, match.indices).square_() * points.elements).sum(1)
        # sum h x c from the scores sum h (c^2 / 2 - x c)
        products = norms / 2 - match.scores
        shape = (self.rows.shape[0] if scale.numel() > 1 else 1, -1)
        wide = wide_dtype(self.rows.device)
        product, norm = (values.view(shape).sum(1, dtype=wide) for values in (products, norms))
        factor = torch.where((product > 0) & (norm > 0), product / norm.clamp(min=1e-38), 0.0)
        fitted = (scale * factor).to(torch.float32)
        return torch.where((scale > 0) & (fitted >= MAGNITUDE_MIN), fitted, scale)
