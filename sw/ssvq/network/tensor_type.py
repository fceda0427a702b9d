"""Shapes and element types of the values in a graph."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ssvq.network.errors import OperatorError

Shape = tuple[int, ...]

DTYPES = (torch.float32, torch.int64, torch.int32, torch.bool, torch.uint8)
"""Of inputs, constants and results. Arithmetic is float32; the others are ids, masks and raw pixels."""


@dataclass(frozen=True)
class TensorType:
    """Shape and dtype of a value; raises OperatorError where the dtype is not one of `DTYPES`."""

    shape: Shape
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            known = ", ".join(short(dtype) for dtype in DTYPES)
            raise OperatorError(f"dtype must be one of {known}, not {short(self.dtype)}")

    @classmethod
    def of(cls, tensor: Tensor) -> TensorType:
        """The type of a tensor."""
        return cls(tuple(tensor.shape), tensor.dtype)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    def __str__(self) -> str:
        return f"{short(self.dtype)} {self.shape}"


def short(dtype: torch.dtype) -> str:
    """A dtype's name without the package's."""
    return str(dtype).removeprefix("torch.")


def broadcast(*shapes: Shape) -> Shape:
    """The common shape by PyTorch's and NumPy's rule; raises OperatorError where there is none."""
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        raise OperatorError(f"operands must have shapes that broadcast, not {' and '.join(map(str, shapes))}") from None


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front; raises OperatorError where it is not in -rank .. rank - 1."""
    if not -rank <= axis < rank:
        raise OperatorError(f"axis must be in {-rank} .. {rank - 1}, not {axis}")
    return axis % rank
