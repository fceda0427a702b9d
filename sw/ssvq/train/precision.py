"""The precision of matrix products in training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

MatmulPrecision = Literal["float32", "bfloat16"]


@contextmanager
def matmul_precision(precision: MatmulPrecision) -> Iterator[None]:
    """While active, products of float32 matrices may round their operands to bfloat16, where a processor gains by it.

    Sums stay in float32. "float32" leaves PyTorch's setting as it is.
    """
    before = torch.get_float32_matmul_precision()
    if precision == "bfloat16":
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
