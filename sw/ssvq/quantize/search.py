"""The nearest codeword of every subvector.

Without weights of elements this is the search by Euclidean distance. With weights h >= 0 (n, d) the error of a codeword
c for a point x is `sum h (x - c)^2 = const - 2 ((h x) . c - h . c^2 / 2)`: a search for the largest inner product of
(h x, h) and (c, -c^2 / 2), of dimension 2d.

On the CPU the search runs in faiss, elsewhere in PyTorch. A result depends on one point only.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ssvq.quantize import _faiss

Backend = Literal["faiss", "torch"]

SEARCH_ELEMENTS = 1 << 24
"""Most entries of the distance matrix that the PyTorch search holds at once."""


def wide_dtype(device: torch.device) -> torch.dtype:
    """float64 where the device has it, for sums."""
    return torch.float32 if device.type == "mps" else torch.float64


def nearest(
    points: Tensor,
    codebook: Tensor,
    *,
    elements: Tensor | None = None,
    exact: bool = False,
    backend: Backend | None = None,
) -> tuple[Tensor, Tensor]:
    """Nearest codeword of every point; among equal codewords the one with the lowest index.

    Args:
        points: float32 (n, d).
        codebook: float32 (k, d).
        elements: float32 (n, d), >= 0, how much each element's squared error counts; None when all count alike.
        exact: with `elements`, compare in float64 where the device has it. In float32 an element that counts for less
            than a millionth of others is lost in rounding.
        backend: "faiss" or "torch"; None picks faiss on the CPU. An exact search always is PyTorch's.

    Returns:
        indices int64 (n,) and squared distances float32 (n,), both on the device of `points`.
    """
    faiss = (backend or ("faiss" if points.device.type == "cpu" else "torch")) == "faiss"
    distinct = first_occurrences(codebook)
    words = codebook[distinct].contiguous()
    if elements is None and faiss:
        found, distance = _faiss.nearest(points.contiguous().numpy(), words.numpy())
        return distinct[torch.from_numpy(found)], torch.from_numpy(distance).clamp_(min=0)
    half = words.square() / 2
    if elements is None:
        index = torch.cat(
            [torch.addmm(half.sum(1), chunk, words.T, alpha=-1).argmin(1) for chunk in _chunks(points, words)]
        )
        return distinct[index], (points - words[index]).square().sum(1)
    if faiss and not exact:
        queries = torch.cat([elements * points, elements], dim=1)
        found = _faiss.largest_product(queries.numpy(), torch.cat([words, -half], dim=1).numpy())
        index = torch.from_numpy(found)
    else:
        dtype = wide_dtype(points.device) if exact else torch.float32
        words_t, half_t = words.to(dtype).T, words.to(dtype).square().T / 2
        found_chunks = []
        for x, h in zip(_chunks(points, words), _chunks(elements, words), strict=True):
            h = h.to(dtype)
            found_chunks.append(((h * x) @ words_t).addmm_(h, half_t, alpha=-1).argmax(1))
        index = torch.cat(found_chunks)
    return distinct[index], (points - words[index]).square_().mul_(elements).sum(1)


def _chunks(points: Tensor, words: Tensor) -> tuple[Tensor, ...]:
    return torch.split(points, max(1, SEARCH_ELEMENTS // words.shape[0]))


def first_occurrences(codebook: Tensor) -> Tensor:
    """Ascending indices (m,) of the codewords of (k, d) that no earlier codeword equals."""
    unique, inverse = torch.unique(codebook, dim=0, return_inverse=True)
    count = codebook.shape[0]
    first = torch.full((unique.shape[0],), count, device=codebook.device)
    first.scatter_reduce_(0, inverse, torch.arange(count, device=codebook.device), "amin")
    return first.sort().values
