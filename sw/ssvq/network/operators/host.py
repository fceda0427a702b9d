"""What the core does not do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ssvq.network.errors import OperatorError
from ssvq.network.operators.base import Operator
from ssvq.network.tensor_type import Shape, TensorType


class HostFunction(Protocol):
    """Computes a Host's result from its operands, which it does not change."""

    def __call__(self, *operands: Tensor) -> Tensor:
        """The result."""
        ...


@dataclass(frozen=True, kw_only=True)
class Host(Operator):
    """An operation outside the operator set, with what is needed to run it on the host.

    Attributes:
        operation: its name, such as `aten.topk.default` or `onnx.Resize`.
        reason: why it is here.
        operands: shapes of its operands, which are fixed.
        result: type of its result.
        function: computes it, and has the constants that it needs.
    """

    label = "host"
    operation: str
    reason: str
    operands: tuple[Shape, ...]
    result: TensorType
    function: HostFunction

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """`result`."""
        shapes = tuple(operand.shape for operand in operands)
        if shapes != self.operands:
            raise OperatorError(f"operands of {self.operation} must have the shapes {self.operands}, not {shapes}")
        return self.result
