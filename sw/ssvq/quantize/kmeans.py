"""Weighted k-means on subvectors.

Points and single elements of points may count more or less, or not at all. The latter serves what is not there, the
padding of subvectors that are shorter than the codewords and weights that a mask removes: it must not pull codewords
towards zero.

For one seed the result on the CPU does not depend on the number of threads: every sum has a fixed order and a search
result depends on one point only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ssvq.quantize.search import Backend, Match, nearest, point_norms, wide_dtype

SEED_POINTS_MIN = 8192
SEED_POINTS_PER_CODEWORD = 8
SUM_POINTS = 1 << 12
"""Points that are summed at once: few enough for their terms to stay in a cache."""
SUM_COLUMNS_MIN = 16
"""Numbers in a row of terms; PyTorch takes nearly twice as long to add shorter rows."""
OVERSHOOT = 1.8
"""Step of all iterations but the last. When the codewords move, points change to them and the means move on in the same
direction: on layers of MiniLM and on random weights this reached in half the iterations an error that was lower."""
TOLERANCE = 1e-3
"""k-means stops when an iteration lowers the error by less than this fraction."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Subvectors:
    """Points of a k-means problem.

    Attributes:
        values: float32 (n, d).
        weights: float32 (n,), >= 0; how much a point's squared error counts.
        elements: float32 (n, d), >= 0; how much an element's squared error counts, further to its point's weight. None
            when all elements count alike.
    """

    values: Tensor
    weights: Tensor
    elements: Tensor | None = None

    @property
    def count(self) -> int:
        """Number of points n."""
        return int(self.values.shape[0])

    def sample(self, count: int, generator: torch.Generator) -> Subvectors:
        """At most `count` points drawn without replacement, in a random order."""
        chosen = torch.randperm(self.count, generator=generator)[:count].to(self.values.device)
        elements = None if self.elements is None else self.elements[chosen]
        return Subvectors(values=self.values[chosen], weights=self.weights[chosen], elements=elements)

    def nearest(self, codebook: Tensor, *, backend: Backend | None = None) -> Match:
        """The nearest codewords of a codebook float32 (k, d)."""
        return nearest(self.values, codebook, elements=self.elements, backend=backend)

    def errors(self, indices: Tensor, codebook: Tensor) -> Tensor:
        """Weighted squared errors of the points for codewords int64 (n,) of a codebook float32 (k, d): float32 (n,)."""
        return self.weights * point_norms(self.values - codebook[indices], self.elements)


def seed_codebook(points: Subvectors, codebook_size: int, generator: torch.Generator) -> Tensor:
    """k-means++ start: (k, d) points, each drawn with probability proportional to its weighted squared error so far."""
    subset = points.sample(max(SEED_POINTS_MIN, SEED_POINTS_PER_CODEWORD * codebook_size), generator)
    values = subset.values
    elements = values.new_ones((1, values.shape[1])) if subset.elements is None else subset.elements
    weighted = values if subset.elements is None else values * elements
    wide = wide_dtype(values.device)
    draws = torch.rand(codebook_size, generator=generator, dtype=torch.float64).to(values.device, wide)
    norms = (values * weighted).sum(1)
    distances = torch.ones_like(norms)
    chosen: list[Tensor] = []
    for number in range(codebook_size):
        mass = (distances * subset.weights).to(wide).cumsum(0)
        index = torch.searchsorted(mass, draws[number : number + 1] * mass[-1], right=True)
        word = values[index.clamp_(max=subset.count - 1)[0]]
        chosen.append(word)
        distance = (norms - 2 * (weighted @ word) + elements @ word.square()).clamp_(min=0)
        distances = distance if number == 0 else torch.minimum(distances, distance)
    return torch.stack(chosen)


def update_codebook(points: Subvectors, indices: Tensor, codebook: Tensor, *, step: float = 1.0) -> Tensor:
    """Weighted means of the clusters; a cluster without weight restarts at one of the worst represented points.

    Args:
        points: the n points.
        indices: their codewords, int64 (n,).
        codebook: float32 (k, d).
        step: how far to go from the codewords to the means, 1 being all the way.

    Returns:
        float32 (k, d). An element that counts in no point of its cluster keeps its value.
    """
    sums, totals = _cluster_sums(points, indices, codebook)
    smallest = torch.finfo(sums.dtype).tiny
    means = torch.where(totals > 0, sums / totals.clamp(min=smallest), codebook).to(torch.float32)
    means = codebook.lerp(means, step) if step != 1 else means
    empty = (totals.amax(1) <= 0).nonzero()[:, 0]
    if empty.numel():
        worst = points.errors(indices, codebook).topk(min(empty.numel(), points.count))
        useful = worst.values > 0
        means[empty[: useful.numel()][useful]] = points.values[worst.indices[useful]]
    return means


def _cluster_sums(points: Subvectors, indices: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted sums (k, d) of the values in each cluster and their weights (k, d) or (k, 1), of a wide type."""
    size, width = codebook.shape
    wide = wide_dtype(codebook.device)
    columns = width + (1 if points.elements is None else width)
    padded = max(columns, SUM_COLUMNS_MIN)
    result = torch.zeros((size, padded), dtype=wide, device=codebook.device)
    terms = torch.zeros((min(SUM_POINTS, points.count), padded), dtype=wide, device=codebook.device)
    for start in range(0, points.count, SUM_POINTS):
        part = slice(start, start + SUM_POINTS)
        weights = points.weights[part, None].to(wide)
        if points.elements is not None:
            weights = points.elements[part] * weights
        chunk = terms[: weights.shape[0]]
        torch.mul(points.values[part], weights, out=chunk[:, :width])
        chunk[:, width:columns] = weights
        result.index_add_(0, indices[part], chunk)
    return result[:, :width], result[:, width:columns]


def kmeans(
    points: Subvectors,
    codebook_size: int,
    *,
    iterations: int,
    generator: torch.Generator,
    backend: Backend | None = None,
) -> Tensor:
    """Weighted k-means: k-means++ start, then Lloyd iterations until converged.

    Args:
        points: at least `codebook_size` points.
        codebook_size: k.
        iterations: most Lloyd iterations.
        generator: CPU generator, the only source of randomness.
        backend: see `ssvq.quantize.search.nearest`.

    Returns:
        codebook float32 (k, d).

    Raises:
        ValueError: fewer points than codewords.
    """
    if points.count < codebook_size:
        raise ValueError(f"codebook_size must be at most the number of subvectors, {points.count}, not {codebook_size}")
    codebook = seed_codebook(points, codebook_size, generator)
    weights = points.weights.to(wide_dtype(points.weights.device))
    norm = float(weights @ point_norms(points.values, points.elements).to(weights.dtype))
    previous = float("inf")
    for number in range(iterations):
        match = points.nearest(codebook, backend=backend)
        error = norm + 2 * float(weights @ match.scores.to(weights.dtype))
        # a restarted cluster may raise the error for one iteration
        last = number == iterations - 1 or 0 <= previous - error <= TOLERANCE * error
        codebook = update_codebook(points, match.indices, codebook, step=1 if last else OVERSHOOT)
        if last:
            break
        previous = error
    return codebook
