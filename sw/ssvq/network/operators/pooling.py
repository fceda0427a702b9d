"""Pooling: one value for each place of a window, channel by channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ssvq.network.errors import OperatorError
from ssvq.network.operators.base import Operator, require_count, require_float, require_least, require_rank
from ssvq.network.operators.window import Padding, Pair, window_outputs
from ssvq.network.tensor_type import TensorType


@dataclass(frozen=True, kw_only=True)
class _Pool(Operator):
    """A window over x (B, C, H, W).

    Attributes:
        kernel, stride: rows, columns.
        padding: at the top, left, bottom and right; less than the kernel.
    """

    kernel: Pair
    stride: Pair
    padding: Padding = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        require_least(1, kernel=self.kernel, stride=self.stride)
        require_least(0, padding=self.padding)
        if any(pad >= self.kernel[side % 2] for side, pad in enumerate(self.padding)):
            raise OperatorError(f"padding must be less than the kernel {self.kernel}, not {self.padding}")

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """(B, C, H', W')."""
        require_count(operands, 1)
        (x,) = operands
        require_float(x)
        require_rank(x, 4, "(batch, channels, height, width)")
        return TensorType((*x.shape[:2], *window_outputs(x.shape[2:], self.kernel, self.stride, self.padding)))


@dataclass(frozen=True, kw_only=True)
class AveragePool(_Pool):
    """Mean of every window; global where the kernel is the image.

    Attributes:
        count_padding: zeros of the padding count in the mean; otherwise it is that of the pixels inside the image.
    """

    label = "average_pool"
    count_padding: bool = True


@dataclass(frozen=True, kw_only=True)
class MaxPool(_Pool):
    """Largest value of every window; padding never is it."""

    label = "max_pool"
