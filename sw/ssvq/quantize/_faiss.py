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


def largest_product(
    queries: npt.NDArray[np.float32], base: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The row of `base` (k, d) with the largest inner product with each of `queries` (n, d); of equal ones the first.

    Both are C-contiguous.

    Returns:
        indices (n,) and products (n,).
    """
    products, indices = faiss.knn(queries, base, 1, metric=faiss.METRIC_INNER_PRODUCT)
    return indices[:, 0], products[:, 0]


def train_kmeans(
    points: npt.NDArray[np.float32], codebook_size: int, *, points_per_codeword: int, seed: int
) -> npt.NDArray[np.float32]:
    """The codebook (k, d) of faiss's own k-means with its 25 iterations.

    Args:
        points: (n, d), C-contiguous.
        codebook_size: k.
        points_per_codeword: faiss draws that many times k points and ignores the others; its default is 256.
        seed: of its random choices.
    """
    trainer = faiss.Kmeans(
        points.shape[1],
        codebook_size,
        niter=25,
        seed=seed,
        max_points_per_centroid=points_per_codeword,
        min_points_per_centroid=1,  # does not change what it does, only keeps it from writing a warning to stderr
    )
    trainer.train(points)
    return np.asarray(trainer.centroids, dtype=np.float32)


def get_threads() -> int:
    """Threads that a search uses."""
    return int(faiss.omp_get_max_threads())


def set_threads(count: int) -> None:
    """Set the number of threads that a search uses."""
    faiss.omp_set_num_threads(count)
