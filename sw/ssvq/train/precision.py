"""The precision of matrix products in training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

MatmulPrecision = Literal["float32", "bfloat16"]


@contextmanager
def matmul_precision(precision: MatmulPrecision) -> Iterator[None]:
    """While active, products of float32 matrices may round their operands to bfloat16, where a processor gains by it.

    Sums stay in float32. "float32" leaves PyTorch's setting as it is.
    """
    if precision == "float32":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    # PyTorch 2.13's fused attention on CPUs is six times slower when it rounds float32 operands than when it does not
    attention = nullcontext() if torch.cuda.is_available() else sdpa_kernel(SDPBackend.MATH)
    try:
        with attention:
            yield
    finally:
        torch.set_float32_matmul_precision(before)
