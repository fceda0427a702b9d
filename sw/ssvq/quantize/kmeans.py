"""Weighted k-means on subvectors, some of which may be shorter than the codewords.

A layer whose input channels are not a multiple of the vector dimension d ends every row in a *tail*: a subvector of
which only the first few elements are weights and the rest is padding. Padding must not pull codewords towards zero,
so distances and means of tails count their real elements only.

On the CPU the search runs in faiss, elsewhere in PyTorch. For one seed the result on the CPU does not depend on the
number of threads: every sum has a fixed order and a search result depends on one point only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ssvq.quantize import _faiss

Backend = Literal["faiss", "torch"]

SEED_POINTS_MIN = 8192
SEED_POINTS_PER_CODEWORD = 8
TOLERANCE = 1e-5
"""k-means stops when an iteration lowers the error by less than this fraction."""
SEARCH_ELEMENTS = 1 << 24
"""Most entries of the distance matrix that the PyTorch search holds at once."""


def wide_dtype(device: torch.device) -> torch.dtype:
    """float64 where the device has it, for sums."""
    return torch.float32 if device.type == "mps" else torch.float64


@dataclass(frozen=True, kw_only=True, eq=False)
class Subvectors:
    """Points of a k-means problem.

    Attributes:
        values: float32 (n, d); zero in the padding of tails.
        weights: float32 (n,), >= 0; how much a point's squared error counts.
        tail: bool (n,), True where only the first `tail_width` elements are real; None when there is no such point.
        tail_width: real elements of a tail, in 1..d-1; 0 when `tail` is None.
    """

    values: Tensor
    weights: Tensor
    tail: Tensor | None = None
    tail_width: int = 0

    @property
    def count(self) -> int:
        """Number of points n."""
        return int(self.values.shape[0])

    def mask(self) -> Tensor:
        """float32 (n, d) or (1, d), 1 where an element is real."""
        width = self.values.shape[1]
        if self.tail is None:
            return self.values.new_ones((1, width))
        real = torch.arange(width, device=self.values.device) < self.tail_width
        return (real | ~self.tail[:, None]).to(torch.float32)

    def sample(self, count: int, generator: torch.Generator) -> Subvectors:
        """At most `count` points drawn without replacement, in a random order."""
        chosen = torch.randperm(self.count, generator=generator)[:count].to(self.values.device)
        tail = None if self.tail is None else self.tail[chosen]
        return Subvectors(
            values=self.values[chosen], weights=self.weights[chosen], tail=tail, tail_width=self.tail_width
        )


def nearest(
    points: Tensor,
    codebook: Tensor,
    *,
    tail: Tensor | None = None,
    tail_width: int = 0,
    backend: Backend | None = None,
) -> tuple[Tensor, Tensor]:
    """Nearest codeword of every point; among equal codewords the one with the lowest index.

    Args:
        points: float32 (n, d).
        codebook: float32 (k, d).
        tail, tail_width: as in `Subvectors`.
        backend: "faiss" or "torch"; None picks faiss on the CPU.

    Returns:
        indices int64 (n,) and squared distances float32 (n,), both on the device of `points`.
    """
    chosen = backend or ("faiss" if points.device.type == "cpu" else "torch")
    if tail is None:
        return _search(points, codebook, chosen)
    indices = torch.empty(points.shape[0], dtype=torch.int64, device=points.device)
    distances = torch.empty(points.shape[0], dtype=torch.float32, device=points.device)
    for where, width in ((~tail, points.shape[1]), (tail, tail_width)):
        if bool(where.any()):
            indices[where], distances[where] = _search(points[where, :width], codebook[:, :width], chosen)
    return indices, distances


def _search(points: Tensor, codebook: Tensor, backend: Backend) -> tuple[Tensor, Tensor]:
    distinct = first_occurrences(codebook)
    words = codebook[distinct].contiguous()
    if backend == "faiss":
        found, distance = _faiss.nearest(points.contiguous().numpy(), words.numpy())
        return distinct[torch.from_numpy(found)], torch.from_numpy(distance).clamp_(min=0)
    half_norm = words.square().sum(1) / 2
    chunks = torch.split(points, max(1, SEARCH_ELEMENTS // words.shape[0]))
    index = torch.cat([torch.addmm(half_norm, chunk, words.T, alpha=-1).argmin(1) for chunk in chunks])
    return distinct[index], (points - words[index]).square().sum(1)


def first_occurrences(codebook: Tensor) -> Tensor:
    """Ascending indices (m,) of the codewords of (k, d) that no earlier codeword equals."""
    unique, inverse = torch.unique(codebook, dim=0, return_inverse=True)
    count = codebook.shape[0]
    first = torch.full((unique.shape[0],), count, device=codebook.device)
    first.scatter_reduce_(0, inverse, torch.arange(count, device=codebook.device), "amin")
    return first.sort().values


def seed_codebook(points: Subvectors, codebook_size: int, generator: torch.Generator) -> Tensor:
    """k-means++ start: (k, d) points, each drawn with probability proportional to its weighted squared error so far."""
    subset = points.sample(max(SEED_POINTS_MIN, SEED_POINTS_PER_CODEWORD * codebook_size), generator)
    values, mask = subset.values, subset.mask()
    wide = wide_dtype(values.device)
    draws = torch.rand(codebook_size, generator=generator, dtype=torch.float64).to(values.device, wide)
    norms = values.square().sum(1)
    distances = torch.ones_like(norms)
    chosen: list[Tensor] = []
    for number in range(codebook_size):
        mass = (distances * subset.weights).to(wide).cumsum(0)
        index = torch.searchsorted(mass, draws[number : number + 1] * mass[-1], right=True)
        word = values[index.clamp_(max=subset.count - 1)[0]]
        chosen.append(word)
        # |x - c|^2 over the real elements; x is zero in the padding
        distance = (norms - 2 * (values @ word) + mask @ word.square()).clamp_(min=0)
        distances = distance if number == 0 else torch.minimum(distances, distance)
    return torch.stack(chosen)


def update_codebook(points: Subvectors, indices: Tensor, distances: Tensor, codebook: Tensor) -> Tensor:
    """Weighted means of the clusters; a cluster without weight restarts at one of the worst represented points.

    Args:
        points: the n points.
        indices, distances: result of `nearest` for `codebook`, (n,) each.
        codebook: float32 (k, d).

    Returns:
        float32 (k, d). An element that no point of its cluster really has keeps its value.
    """
    size, width = codebook.shape
    wide = wide_dtype(codebook.device)
    weights = points.weights.to(wide)
    slots = (indices[:, None] * width + torch.arange(width, device=indices.device)).flatten()
    sums = torch.bincount(slots, (points.values * weights[:, None]).flatten(), size * width).view(size, width)
    totals = torch.bincount(indices, weights, size)[:, None]
    if points.tail is not None:
        masses = (points.mask() * weights[:, None]).flatten()
        totals = torch.bincount(slots, masses, size * width).view(size, width)
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
        backend: see `nearest`.

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
        indices, distances = nearest(
            points.values, codebook, tail=points.tail, tail_width=points.tail_width, backend=backend
        )
        error = float((distances.to(wide_dtype(distances.device)) * points.weights).sum())
        codebook = update_codebook(points, indices, distances, codebook)
        if 0 <= previous - error <= TOLERANCE * error:  # a restarted cluster may raise the error for one iteration
            break
        previous = error
    return codebook
