"""Operators that masks are made of, by the host: numbers to what holds and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ssvq.network.errors import OperatorError
from ssvq.network.operators.base import Operator, require_count
from ssvq.network.tensor_type import TensorType, short


@dataclass(frozen=True, kw_only=True)
class Cast(Operator):
    """The same numbers in another dtype: float32 of whole numbers and of bools, or bool, which holds where not 0."""

    label = "cast"
    dtype: torch.dtype

    def __post_init__(self) -> None:
        if self.dtype not in (torch.float32, torch.bool):
            raise OperatorError(f"dtype must be float32 or bool, not {short(self.dtype)}")

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """x's shape."""
        require_count(operands, 1)
        return TensorType(operands[0].shape, self.dtype)


@dataclass(frozen=True, kw_only=True)
class Not(Operator):
    """Holds where the bool operand does not."""

    label = "not"

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """x's type."""
        require_count(operands, 1)
        (x,) = operands
        if x.dtype != torch.bool:
            raise OperatorError(f"the operand must be bool, not {short(x.dtype)}")
        return x
