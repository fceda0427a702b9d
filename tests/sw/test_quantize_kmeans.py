"""k-means: weights of points and elements, repair, determinism."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ssvq.quantize import _faiss
from ssvq.quantize import kmeans as kmeans_module
from ssvq.quantize._threads import PARALLEL_PRODUCTS_MIN, threads_for
from ssvq.quantize.kmeans import Subvectors, kmeans, seed_codebook, update_codebook
from ssvq.quantize.search import Backend


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(values: Tensor, weights: Tensor | None = None, elements: Tensor | None = None) -> Subvectors:
    return Subvectors(values=values, weights=torch.ones(len(values)) if weights is None else weights, elements=elements)


def error(problem: Subvectors, codebook: Tensor) -> float:
    return float(problem.errors(problem.nearest(codebook).indices, codebook).double().sum())


def test_separate_clusters_are_found_exactly() -> None:
    centres = torch.tensor([[0.0, 0], [10, 0], [0, 10], [10, 10]])
    values = (centres[:, None] + 0.01 * torch.randn(4, 50, 2, generator=generator())).flatten(0, 1)
    codebook = kmeans(points(values), 4, iterations=20, generator=generator(3))
    assert error(points(values), codebook) < 0.1


@pytest.mark.parametrize("backend", ["faiss", "torch"])
def test_weights_pull_the_mean(backend: Backend) -> None:
    problem = points(torch.tensor([[0.0, 0], [1, 1], [9, 9]]), torch.tensor([3.0, 1.0, 1.0]))
    codebook = kmeans(problem, 2, iterations=10, generator=generator(), backend=backend)
    assert sorted(codebook[:, 0].tolist()) == [0.25, 9.0]


def test_elements_pull_their_own_mean() -> None:
    values = torch.tensor([[1.0, 4.0, 2.0], [3.0, 0.0, 8.0]])
    elements = torch.tensor([[1.0, 1.0, 0.0], [2.0, 0.0, 0.0]])
    problem = points(values, torch.tensor([2.0, 1.0]), elements)
    updated = update_codebook(problem, torch.zeros(2, dtype=torch.int64), torch.full((1, 3), 9.0))
    assert updated.tolist() == [[(2 * 1 + 2 * 3) / 4, 4.0, 9.0]]  # what does not count anywhere keeps its value


@pytest.mark.parametrize("backend", ["faiss", "torch"])
def test_equal_elements_change_nothing(backend: Backend) -> None:
    values = torch.randn(2000, 4, generator=generator())
    plain, counted = (
        kmeans(problem, 16, iterations=10, generator=generator(1), backend=backend)
        for problem in (points(values), points(values, elements=torch.full_like(values, 2.0)))
    )
    torch.testing.assert_close(counted, plain, atol=1e-5, rtol=1e-5)


def test_elements_that_do_not_count_do_not_disturb() -> None:
    """Two clusters in the first two elements, and noise in the others, which do not count."""
    values = 0.01 * torch.randn(400, 4, generator=generator())
    values[200:, :2] += 1
    values[:, 2:] = 100 * torch.randn(400, 2, generator=generator(1))
    elements = torch.tensor([1.0, 1, 0, 0]).expand(400, 4).contiguous()
    problem = points(values, elements=elements)
    codebook = kmeans(problem, 2, iterations=10, generator=generator(2))
    torch.testing.assert_close(codebook[:, :2].sort(0).values, torch.tensor([[0.0, 0], [1, 1]]), atol=0.01, rtol=0)
    assert error(problem, codebook) < 0.2


def test_the_start_counts_elements() -> None:
    """The second point differs from the first only in an element that does not count: the third is always chosen."""
    values = torch.tensor([[0.0, 0], [0, 50], [1, 0]])
    problem = points(values, elements=torch.tensor([[1.0, 0], [1, 0], [1, 1]]))
    for seed in range(10):
        assert seed_codebook(problem, 2, generator(seed))[:, 0].sort().values.tolist() == [0, 1]


def test_errors_count_points_and_elements() -> None:
    values, codebook = torch.tensor([[1.0, 4.0], [3.0, 0.0]]), torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    problem = points(values, torch.tensor([2.0, 1.0]), torch.tensor([[1.0, 0.5], [3.0, 0.0]]))
    assert problem.errors(torch.tensor([1, 0]), codebook).tolist() == [2 * 0.5 * 9, 3 * 9]
    assert points(values).errors(torch.tensor([1, 0]), codebook).tolist() == [9, 9]


def test_sums_do_not_depend_on_their_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values, indices = torch.randn(1000, 20, generator=generator()), torch.randint(8, (1000,), generator=generator())
    for elements in (None, torch.rand(1000, 20)):
        problem = points(values, torch.rand(1000), elements)
        whole = update_codebook(problem, indices, torch.zeros(8, 20))
        monkeypatch.setattr(kmeans_module, "SUM_POINTS", 37)
        assert torch.equal(update_codebook(problem, indices, torch.zeros(8, 20)), whole)
        monkeypatch.undo()


def test_an_empty_cluster_restarts_at_the_worst_point() -> None:
    problem = points(torch.tensor([[0.0, 0], [0, 1], [7, 7]]))
    codebook = torch.tensor([[0.0, 0], [50, 50], [60, 60]])
    updated = update_codebook(problem, problem.nearest(codebook).indices, codebook)
    assert updated[1].tolist() == [7.0, 7.0]
    assert updated[2].tolist() == [0.0, 1.0]
    assert error(problem, updated) == 1 < error(problem, codebook)


def test_equal_points_do_not_fail() -> None:
    codebook = kmeans(points(torch.ones(8, 3)), 4, iterations=5, generator=generator())
    assert torch.isfinite(codebook).all()
    assert error(points(torch.ones(8, 3)), codebook) == 0


def test_more_codewords_than_points() -> None:
    with pytest.raises(ValueError, match="codebook_size must be at most the number of subvectors, 3, not 4"):
        kmeans(points(torch.ones(3, 2)), 4, iterations=5, generator=generator())


def test_start_is_better_than_random_points() -> None:
    values = torch.randn(4000, 4, generator=generator()).abs() ** 2
    random = values[torch.randperm(4000, generator=generator(1))[:64]]
    good = kmeans(points(values), 64, iterations=1, generator=generator(1))
    updated = update_codebook(points(values), points(values).nearest(random).indices, random)
    assert error(points(values), good) < error(points(values), updated)


@pytest.mark.parametrize(("size", "dim"), [(16, 8), (256, 8), (64, 3)])
def test_result_does_not_depend_on_the_number_of_threads(size: int, dim: int) -> None:
    values = torch.randn(30_000, dim, generator=generator())
    results = []
    before = torch.get_num_threads(), _faiss.get_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            _faiss.set_threads(threads)
            results.append(kmeans(points(values), size, iterations=5, generator=generator(7)))
    finally:
        torch.set_num_threads(before[0])
        _faiss.set_threads(before[1])
    assert torch.equal(*results)


def test_seed_decides() -> None:
    values = torch.randn(1000, 4, generator=generator())
    first, same, other = (kmeans(points(values), 8, iterations=3, generator=generator(n)) for n in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_small_work_runs_on_one_thread_and_the_setting_is_restored() -> None:
    before = torch.get_num_threads(), _faiss.get_threads()
    with threads_for(PARALLEL_PRODUCTS_MIN - 1):
        assert (torch.get_num_threads(), _faiss.get_threads()) == (1, 1)
    assert (torch.get_num_threads(), _faiss.get_threads()) == before
    with threads_for(PARALLEL_PRODUCTS_MIN):
        assert (torch.get_num_threads(), _faiss.get_threads()) == before
    assert (torch.get_num_threads(), _faiss.get_threads()) == before
