"""The one place that touches faiss, which has no type stubs and whose binding warns while it is imported."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

with warnings.catch_warnings():
    # Emitted by SWIG's type objects under Python 3.12 and later; nothing in this project causes or can avoid it.
    warnings.filterwarnings(
        "ignore", message="builtin type .* has no __module__ attribute", category=DeprecationWarning
    )
    import faiss


def nearest(
    points: npt.NDArray[np.float32], codebook: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Exact nearest codeword of every point by squared Euclidean distance.

    Args:
        points: (n, d), C-contiguous.
        codebook: (k, d), C-contiguous.

    Returns:
        indices (n,) and squared distances (n,).
    """
    distances, indices = faiss.knn(points, codebook, 1)
    return indices[:, 0], distances[:, 0]


def largest_product(queries: npt.NDArray[np.float32], base: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Index (n,) of the row of `base` (k, d) with the largest inner product with each of `queries` (n, d).

    Both are C-contiguous; of equal products the first counts.
    """
    _, indices = faiss.knn(queries, base, 1, metric=faiss.METRIC_INNER_PRODUCT)
    found: npt.NDArray[np.int64] = indices[:, 0]
    return found


def get_threads() -> int:
    """Threads that a search uses."""
    return int(faiss.omp_get_max_threads())


def set_threads(count: int) -> None:
    """Set the number of threads that a search uses."""
    faiss.omp_set_num_threads(count)
