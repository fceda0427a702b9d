"""The precision of matrix products."""

from __future__ import annotations

import pytest
import torch

from ssvq.train.precision import matmul_precision


def fail_inside() -> None:
    with matmul_precision("bfloat16"):
        assert torch.get_float32_matmul_precision() == "medium"
        raise KeyError


def test_the_setting_is_restored() -> None:
    """Also after an error, as evaluation must be exact."""
    before = torch.get_float32_matmul_precision()
    with pytest.raises(KeyError):
        fail_inside()
    assert torch.get_float32_matmul_precision() == before
    with matmul_precision("float32"):
        assert torch.get_float32_matmul_precision() == before
