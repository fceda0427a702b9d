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

from ssvq.quantize.search import Backend, nearest, wide_dtype

SEED_POINTS_MIN = 8192
SEED_POINTS_PER_CODEWORD = 8
TOLERANCE = 1e-5
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

    def nearest(self, codebook: Tensor, *, backend: Backend | None = None) -> tuple[Tensor, Tensor]:
        """Indices int64 (n,) and squared distances float32 (n,) of the nearest codewords of float32 (k, d)."""
        return nearest(self.values, codebook, elements=self.elements, backend=backend)


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


def update_codebook(points: Subvectors, indices: Tensor, distances: Tensor, codebook: Tensor) -> Tensor:
    """Weighted means of the clusters; a cluster without weight restarts at one of the worst represented points.

    Args:
        points: the n points.
        indices, distances: result of `nearest` for `codebook`, (n,) each.
        codebook: float32 (k, d).

    Returns:
        float32 (k, d). An element that counts in no point of its cluster keeps its value.
    """
    size, width = codebook.shape
    wide = wide_dtype(codebook.device)
    weights = points.weights.to(wide)[:, None]
    slots = (indices[:, None] * width + torch.arange(width, device=indices.device)).flatten()
    if points.elements is None:
        totals = torch.bincount(indices, weights[:, 0], size)[:, None]
    else:
        weights = points.elements * weights
        totals = torch.bincount(slots, weights.flatten(), size * width).view(size, width)
    sums = torch.bincount(slots, (points.values * weights).flatten(), size * width).view(size, width)
    means = torch.where(totals > 0, sums / totals.clamp(min=1e-300 if wide == torch.float64 else 1e-38), codebook)
    means = means.to(torch.float32)
    empty = (totals.amax(1) <= 0).nonzero()[:, 0]
    if empty.numel():
        errors = distances * points.weights
        worst = errors.topk(min(empty.numel(), points.count))
        useful = worst.values > 0
        means[empty[: useful.numel()][useful]] = points.values[worst.indices[useful]]
    return means


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
    previous = float("inf")
    for _ in range(iterations):
        indices, distances = points.nearest(codebook, backend=backend)
        error = float((distances.to(wide_dtype(distances.device)) * points.weights).sum())
        codebook = update_codebook(points, indices, distances, codebook)
        if 0 <= previous - error <= TOLERANCE * error:  # a restarted cluster may raise the error for one iteration
            break
        previous = error
    return codebook
