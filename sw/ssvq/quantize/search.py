"""The nearest codeword of every subvector.

Without weights of elements this is the search by Euclidean distance. With weights h >= 0 (n, d) the error of a codeword
c for a point x is `sum h (x - c)^2 = const - 2 ((h x) . c - h . c^2 / 2)`: a search for the largest inner product of
(h x, h) and (c, -c^2 / 2), of dimension 2d.

On the CPU the search among many codewords runs in faiss, all others in PyTorch. A result depends on one point only.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ssvq.quantize import _faiss

Backend = Literal["faiss", "torch"]

FAISS_CODEWORDS_MIN = 64
FAISS_VALUES_MIN = 1 << 17
"""Codewords, and values of all points, from which faiss is faster. On one core, for 18432 points of 8, PyTorch took a
third of faiss's time for 16 codewords, as much for 64 and twice as much for 256. For fewer values faiss takes another
path, eight times as slow."""
CACHED_SCORES = 1 << 17
"""Scores that the PyTorch search holds at once on the CPU, for them to stay in its cache."""
DEVICE_SCORES = 1 << 24
"""The same on other devices."""


def wide_dtype(device: torch.device) -> torch.dtype:
    """float64 where the device has it, for sums."""
    return torch.float32 if device.type == "mps" else torch.float64


class Match(NamedTuple):
    """Nearest codewords of points x with elements that count h.

    Attributes:
        indices: int64 (n,).
        scores: float32 (n,), `sum h (c^2 / 2 - x c)` for the codeword c: half the squared distance less half the norm.
    """

    indices: Tensor
    scores: Tensor


def nearest(
    points: Tensor,
    codebook: Tensor,
    *,
    elements: Tensor | None = None,
    exact: bool = False,
    backend: Backend | None = None,
) -> Match:
    """Nearest codeword of every point.

    Args:
        points: float32 (n, d).
        codebook: float32 (k, d).
        elements: float32 (n, d), >= 0, how much each element's squared error counts; None when all count alike.
        exact: with `elements`, compare in float64 where the device has it. In float32 an element that counts for less
            than a millionth of others is lost in rounding.
        backend: "faiss" or "torch"; None picks the faster one. An exact search always is PyTorch's.

    Returns:
        the codewords, on the device of `points`.
    """
    if backend is None:
        many = codebook.shape[0] >= FAISS_CODEWORDS_MIN and points.numel() >= FAISS_VALUES_MIN
        backend = "faiss" if many and points.device.type == "cpu" else "torch"
    if backend == "torch" or (exact and elements is not None):
        words = codebook.to(wide_dtype(points.device)) if exact and elements is not None else codebook
        return _least_scores(points, elements, words)
    if elements is None:
        found, squared = _faiss.nearest(points.contiguous().numpy(), codebook.contiguous().numpy())
        scores = torch.from_numpy(squared).sub_(point_norms(points, None)).div_(2)
    else:
        queries = torch.cat([elements * points, elements], dim=1)
        base = torch.cat([codebook, codebook.square() / -2], dim=1)
        found, product = _faiss.largest_product(queries.numpy(), base.numpy())
        scores = torch.from_numpy(product).neg_()
    return Match(torch.from_numpy(found), scores)


def point_norms(points: Tensor, elements: Tensor | None) -> Tensor:
    """`sum h x^2` of points (n, d), or `sum x^2` without elements: float32 (n,)."""
    return (points if elements is None else elements * points).mul(points).sum(1)


def _least_scores(points: Tensor, elements: Tensor | None, words: Tensor) -> Match:
    """The search in PyTorch, in the type of the codewords."""
    count, size = points.shape[0], words.shape[0]
    step = max(1, (CACHED_SCORES if points.device.type == "cpu" else DEVICE_SCORES) // size)
    half = words.square() / 2
    table = words.new_empty((size, min(step, count)))
    # an index is found as the largest of numbers that fall: minima over rows of the table are fast, argmin is not
    falling = torch.arange(size, 0, -1, dtype=words.dtype, device=words.device)[:, None]
    indices = torch.empty(count, dtype=torch.int64, device=points.device)
    least = words.new_empty(count)
    for start in range(0, count, step):
        x = points[start : start + step].to(words.dtype)
        scores = table[:, : x.shape[0]]
        if elements is None:
            torch.addmm(half.sum(1, keepdim=True), words, x.T, alpha=-1, out=scores)
        else:
            h = elements[start : start + step].to(words.dtype)
            torch.mm(half, h.T, out=scores).addmm_(words, (h * x).T, alpha=-1)
        best = torch.amin(scores, 0, out=least[start : start + step])
        torch.eq(scores, best, out=scores).mul_(falling)
        indices[start : start + step] = size - scores.amax(0)
    return Match(indices, least.to(torch.float32))


def first_occurrences(codebook: Tensor) -> Tensor:
    """Ascending indices (m,) of the codewords of (k, d) that no earlier codeword equals."""
    unique, inverse = torch.unique(codebook, dim=0, return_inverse=True)
    count = codebook.shape[0]
    first = torch.full((unique.shape[0],), count, device=codebook.device)
    first.scatter_reduce_(0, inverse, torch.arange(count, device=codebook.device), "amin")
    return first.sort().values
