"""Choosing the number of threads by the size of the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ssvq.quantize import _faiss

PARALLEL_PRODUCTS_MIN = 1 << 29
"""Multiplications of one search from which several threads pay."""


@contextmanager
def threads_for(products: int) -> Iterator[None]:
    """Use one thread inside, unless a search takes at least `PARALLEL_PRODUCTS_MIN` multiplications.

    faiss and PyTorch each bring a pool of threads that wait by spinning. Where steps take less than a millisecond, two
    pools on few cores cost more than they gain: a layer of MiniLM took the same time with one thread on idle cores, and
    on cores that other programs also used it took up to ten times as long with two.
    """
    if products >= PARALLEL_PRODUCTS_MIN:
        yield
        return
    before = torch.get_num_threads(), _faiss.get_threads()
    torch.set_num_threads(1)
    _faiss.set_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        _faiss.set_threads(before[1])
