"""The search for codewords: exact on both backends, with and without weights of elements."""

from __future__ import annotations

import pytest
import torch

from ssvq.quantize.search import Backend, first_occurrences, nearest


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("backend", ["faiss", "torch"])
@pytest.mark.parametrize(("size", "dim"), [(2, 2), (16, 8), (64, 5), (256, 32)])
def test_search_is_exact(backend: Backend, size: int, dim: int) -> None:
    values, codebook = torch.randn(500, dim, generator=generator()), torch.randn(size, dim, generator=generator(1))
    indices, distances = nearest(values, codebook, backend=backend)
    table = (values[:, None] - codebook).square().sum(2)
    assert torch.equal(indices, table.argmin(1))
    torch.testing.assert_close(distances, table.amin(1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("backend", ["faiss", "torch"])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("size", "dim"), [(2, 2), (16, 8), (64, 5), (256, 32)])
def test_elements_count_as_much_as_they_weigh(backend: Backend, exact: bool, size: int, dim: int) -> None:
    values, codebook = torch.randn(500, dim, generator=generator()), torch.randn(size, dim, generator=generator(1))
    elements = torch.rand(500, dim, generator=generator(2)) ** 2
    indices, distances = nearest(values, codebook, elements=elements, backend=backend, exact=exact)
    table = (elements[:, None] * (values[:, None] - codebook).square()).sum(2)
    assert torch.equal(indices, table.argmin(1))
    torch.testing.assert_close(distances, table.amin(1), atol=1e-4, rtol=1e-4)


def test_an_exact_search_sees_elements_that_count_for_little() -> None:
    codebook = torch.tensor([[127.0, 0], [127, 1], [-127, 0], [-127, 1]])
    elements = torch.tensor([[2.0, 1e-6]]).expand(4, 2).contiguous()
    indices, _ = nearest(codebook, codebook, elements=elements, exact=True)
    assert indices.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("backend", ["faiss", "torch"])
@pytest.mark.parametrize("exact", [False, True])
def test_of_codewords_that_are_equal_where_it_counts_the_first_is_taken(backend: Backend, exact: bool) -> None:
    codebook = torch.tensor([[5.0, 5, 5], [1, 2, 90], [1, 2, 3], [1, 2, 3]])
    values = torch.tensor([[1.0, 2, 0], [1, 2, 3], [1, 2, 0]])
    elements = torch.tensor([[1.0, 1, 0], [1, 1, 1], [1, 1, 1]])
    indices, distances = nearest(values, codebook, elements=elements, backend=backend, exact=exact)
    assert indices.tolist() == [1, 2, 2]
    torch.testing.assert_close(distances, torch.tensor([0.0, 0.0, 9.0]))
    assert nearest(values[:1], codebook, elements=torch.zeros(1, 3), backend=backend, exact=exact)[0].tolist() == [0]


def test_first_occurrences() -> None:
    codebook = torch.tensor([[3, 1], [0, 0], [3, 1], [0, 0], [2, 2]])
    assert first_occurrences(codebook).tolist() == [0, 1, 4]
