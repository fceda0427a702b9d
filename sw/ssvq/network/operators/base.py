"""What all operators have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch

from ssvq.network.errors import OperatorError
from ssvq.network.tensor_type import TensorType, short


class Operator(ABC):
    """What a node computes; its operands come from the node. Frozen, so one may stand in several nodes.

    Attributes:
        label: names nodes that no module names.
        parameters: positions of the operands that must be constants with finite values: weights.
    """

    label: ClassVar[str]
    parameters: ClassVar[tuple[int, ...]] = ()

    @abstractmethod
    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """Type of the result; raises OperatorError where operands of these types are against the rules."""


def require_count(operands: Sequence[TensorType], least: int, most: int | None = None) -> None:
    """Raises OperatorError where there are not `least` to `most` operands (exactly `least` without `most`)."""
    most = least if most is None else most
    if not least <= len(operands) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise OperatorError(f"there must be {wanted} operands, not {len(operands)}")


def require_float(*operands: TensorType) -> None:
    """Raises OperatorError where an operand is not float32."""
    for operand in operands:
        if operand.dtype != torch.float32:
            raise OperatorError(f"operands must be float32, not {short(operand.dtype)}")


def require_rank(operand: TensorType, rank: int, meaning: str) -> None:
    """Raises OperatorError where an operand does not have this number of dimensions."""
    if len(operand.shape) != rank:
        raise OperatorError(f"the operand must have {rank} dimensions, {meaning}, not the shape {operand.shape}")


def require_shape(what: str, operand: TensorType, shape: tuple[int, ...]) -> None:
    """Raises OperatorError where an operand does not have this shape."""
    if operand.shape != shape:
        raise OperatorError(f"{what} must have the shape {shape}, not {operand.shape}")


def require_least(least: int, **numbers: int | tuple[int, ...]) -> None:
    """Raises OperatorError where a named number, or one of a tuple, is below `least`."""
    for name, given in numbers.items():
        values = (given,) if isinstance(given, int) else given
        if any(value < least for value in values):
            raise OperatorError(f"{name} must be at least {least}, not {given}")
