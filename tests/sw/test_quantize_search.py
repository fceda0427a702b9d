"""The search for codewords: exact on both backends, with and without weights of elements."""

from __future__ import annotations

import pytest
import torch

from ssvq.quantize import search
from ssvq.quantize.search import Backend, first_occurrences, nearest, point_norms


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("backend", ["faiss", "torch"])
@pytest.mark.parametrize(("size", "dim"), [(2, 2), (16, 8), (64, 5), (256, 32)])
def test_search_is_exact(backend: Backend, size: int, dim: int) -> None:
    values, codebook = torch.randn(500, dim, generator=generator()), torch.randn(size, dim, generator=generator(1))
    indices, scores = nearest(values, codebook, backend=backend)
    table = (values[:, None] - codebook).square().sum(2)
    assert torch.equal(indices, table.argmin(1))
    assert (indices.dtype, scores.dtype) == (torch.int64, torch.float32)
    torch.testing.assert_close(point_norms(values, None) + 2 * scores, table.amin(1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("backend", ["faiss", "torch"])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("size", "dim"), [(2, 2), (16, 8), (64, 5), (256, 32)])
def test_elements_count_as_much_as_they_weigh(backend: Backend, exact: bool, size: int, dim: int) -> None:
    values, codebook = torch.randn(500, dim, generator=generator()), torch.randn(size, dim, generator=generator(1))
    elements = torch.rand(500, dim, generator=generator(2)) ** 2
    indices, scores = nearest(values, codebook, elements=elements, backend=backend, exact=exact)
    table = (elements[:, None] * (values[:, None] - codebook).square()).sum(2)
    assert torch.equal(indices, table.argmin(1))
    assert (indices.dtype, scores.dtype) == (torch.int64, torch.float32)
    torch.testing.assert_close(point_norms(values, elements) + 2 * scores, table.amin(1), atol=1e-4, rtol=1e-4)


def test_an_exact_search_sees_elements_that_count_for_little() -> None:
    codebook = torch.tensor([[127.0, 0], [127, 1], [-127, 0], [-127, 1]])
    elements = torch.tensor([[2.0, 1e-6]]).expand(4, 2).contiguous()
    assert nearest(codebook, codebook, elements=elements, exact=True).indices.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("backend", ["faiss", "torch"])
@pytest.mark.parametrize("exact", [False, True])
def test_of_codewords_that_are_equal_where_it_counts_the_first_is_taken(backend: Backend, exact: bool) -> None:
    codebook = torch.tensor([[5.0, 5, 5], [1, 2, 90], [1, 2, 3]])
    values = torch.tensor([[1.0, 2, 0], [1, 2, 3], [1, 2, 0]])
    elements = torch.tensor([[1.0, 1, 0], [1, 1, 1], [1, 1, 1]])
    indices, scores = nearest(values, codebook, elements=elements, backend=backend, exact=exact)
    assert indices.tolist() == [1, 2, 2]
    torch.testing.assert_close(point_norms(values, elements) + 2 * scores, torch.tensor([0.0, 0.0, 9.0]))
    zeros = torch.zeros(1, 3)
    assert nearest(values[:1], codebook, elements=zeros, backend=backend, exact=exact).indices.tolist() == [0]


@pytest.mark.parametrize("elements", [False, True])
def test_parts_of_a_search(monkeypatch: pytest.MonkeyPatch, elements: bool) -> None:
    values, codebook = torch.randn(500, 8, generator=generator()), torch.randn(16, 8, generator=generator(1))
    counts = torch.rand(500, 8, generator=generator(2)) if elements else None
    whole = nearest(values, codebook, elements=counts, backend="torch")
    monkeypatch.setattr(search, "CACHED_SCORES", 16 * 37)
    parts = nearest(values, codebook, elements=counts, backend="torch")
    assert torch.equal(whole.indices, parts.indices)
    torch.testing.assert_close(whole.scores, parts.scores)


def test_faiss_searches_where_it_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """And gives the same: both searches are exact."""
    size, dim = search.FAISS_CODEWORDS_MIN, 8
    values = torch.randn(search.FAISS_VALUES_MIN // dim, dim, generator=generator())
    codebook = torch.randn(size, dim, generator=generator(1))
    calls: list[int] = []
    knn = search._faiss.nearest
    monkeypatch.setattr(search._faiss, "nearest", lambda x, c: calls.append(len(x)) or knn(x, c))
    found = nearest(values, codebook)
    assert calls == [len(values)]
    nearest(values[1:], codebook)
    nearest(values, codebook[1:])
    assert calls == [len(values)]
    assert (found.indices != nearest(values, codebook, backend="torch").indices).sum() <= 2


def test_first_occurrences() -> None:
    codebook = torch.tensor([[3, 1], [0, 0], [3, 1], [0, 0], [2, 2]])
    assert first_occurrences(codebook).tolist() == [0, 1, 4]
