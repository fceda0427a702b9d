"""Importance of weights: shapes, groups, normalisation, errors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ssvq.quantize import expand_importance
from ssvq.quantize.importance import IMPORTANCE_MIN


def test_channels_of_a_linear_layer() -> None:
    found = expand_importance(torch.tensor([1.0, 2.0, 3.0]), torch.zeros(5, 3))
    assert found.shape == (1, 1, 3)
    torch.testing.assert_close(found.flatten(), torch.tensor([0.5, 1.0, 1.5]))


def test_positions_of_a_convolution() -> None:
    importance = torch.rand(6, 4)
    found = expand_importance(importance, torch.zeros(5, 4, 2, 3))
    assert found.shape == (1, 6, 4)
    torch.testing.assert_close(found[0], importance / importance.mean())


@pytest.mark.parametrize("positions", [1, 6])
def test_groups_have_their_own_channels(positions: int) -> None:
    importance = torch.rand(positions, 8)
    found = expand_importance(importance if positions > 1 else importance[0], torch.zeros(4, 4, 2, 3), groups=2)
    assert found.shape == (4, positions, 4)
    wanted = importance / importance.mean()
    for n in range(4):
        torch.testing.assert_close(found[n], wanted[:, 4 * (n // 2) : 4 * (n // 2) + 4])


def test_groups_may_share_their_importance() -> None:
    assert expand_importance(torch.rand(4), torch.zeros(4, 4, 2, 3), groups=2).shape == (1, 1, 4)
    assert expand_importance(torch.rand(6, 4), torch.zeros(4, 4, 2, 3), groups=2).shape == (1, 6, 4)


@pytest.mark.parametrize("factor", [1e-40, 1e-300, 1e30, 1e300])
def test_only_relative_importance_matters(factor: float) -> None:
    importance = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    wanted = expand_importance(importance, torch.zeros(2, 3))
    torch.testing.assert_close(expand_importance(importance * factor, torch.zeros(2, 3)), wanted)


def test_nothing_counts_for_nothing() -> None:
    found = expand_importance(torch.tensor([0.0, 1e-30, 4.0]), torch.zeros(2, 3)).flatten()
    torch.testing.assert_close(found, torch.tensor([IMPORTANCE_MIN, IMPORTANCE_MIN, 3.0]))


@pytest.mark.parametrize(
    ("importance", "error", "text"),
    [
        (torch.ones(4, dtype=torch.int64), TypeError, "importance must be floating point, not torch.int64"),
        (
            torch.ones(3),
            ValueError,
            "importance must have the shape (8,) or (4,) or (6, 8) or (6, 4), not (3,)",
        ),
        (torch.tensor([1.0, 1, 1, torch.nan]), ValueError, "importance must be finite and at least 0"),
        (torch.tensor([1.0, 1, 1, torch.inf]), ValueError, "importance must be finite and at least 0"),
        (torch.tensor([1.0, 1, 1, -1e-9]), ValueError, "importance must be finite and at least 0"),
        (torch.zeros(4), ValueError, "importance must be above 0 for at least one channel"),
    ],
)
def test_what_is_refused(importance: Tensor, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        expand_importance(importance, torch.zeros(4, 4, 2, 3), groups=2)
    assert str(caught.value) == text
