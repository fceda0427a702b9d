"""Looking up codewords: values and gradients are PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from ssvq.train.codewords import CodewordIndices


def lookup_and_gradient(codes: CodewordIndices, codebook: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = codebook.clone().requires_grad_()
    found = codes.lookup(leaf)
    weights = torch.arange(found.numel(), dtype=torch.float32).view_as(found)
    (found * weights).sum().backward()
    assert leaf.grad is not None
    return found.detach(), leaf.grad


@pytest.mark.parametrize("size", [1, 3, 16, 100])
def test_values_and_gradient(size: int) -> None:
    """Also where codewords have no subvector: the first, the last and some between."""
    torch.manual_seed(size)
    codebook = torch.randn(size, 4)
    indices = torch.randint(size // 3, max(1, size - 1), (5, 2, 3))
    found, gradient = lookup_and_gradient(CodewordIndices(indices, size), codebook)
    leaf = codebook.clone().requires_grad_()
    expected = functional.embedding(indices, leaf)
    (expected * torch.arange(expected.numel()).view_as(expected)).sum().backward()
    assert torch.equal(found, expected.detach())
    assert leaf.grad is not None
    torch.testing.assert_close(gradient, leaf.grad)


def test_a_state_dict_with_other_indices() -> None:
    """The order follows the indices that are loaded."""
    first, second = (CodewordIndices(torch.randint(8, (40,)), 8) for _ in range(2))
    assert set(first.state_dict()) == {"indices"}
    first.load_state_dict(second.state_dict())
    codebook = torch.randn(8, 2)
    for mine, theirs in zip(lookup_and_gradient(first, codebook), lookup_and_gradient(second, codebook), strict=True):
        assert torch.equal(mine, theirs)
