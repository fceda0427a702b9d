"""The precision of matrix products."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from ssvq.train.precision import MatmulPrecision, matmul_precision


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


@pytest.mark.skipif(torch.cuda.is_available(), reason="fused attention of CPUs")
def test_attention_is_not_fused_while_operands_are_rounded() -> None:
    """Its backward pass would take six times as long as with exact operands."""
    heads = torch.randn(2, 3, 50, 32, requires_grad=True)

    def operators(precision: MatmulPrecision) -> set[str]:
        with matmul_precision(precision), torch.profiler.profile() as profile:
            functional.scaled_dot_product_attention(heads, heads, heads).sum().backward()
        return {event.key for event in profile.key_averages()}

    fused = "aten::_scaled_dot_product_flash_attention_for_cpu"
    assert fused in operators("float32")
    assert fused not in operators("bfloat16")
