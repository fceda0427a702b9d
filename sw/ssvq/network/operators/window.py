"""Geometry of windows that slide over images."""

from __future__ import annotations

from ssvq.network.errors import OperatorError
from ssvq.network.tensor_type import Shape

Pair = tuple[int, int]
"""Rows, columns."""

Padding = tuple[int, int, int, int]
"""Top, left, bottom, right."""


def window_outputs(size: Shape, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair = (1, 1)) -> Pair:
    """Rows and columns of places where a window fits; raises OperatorError where there is none."""
    rows, columns = (
        (size[axis] + padding[axis] + padding[axis + 2] - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
        for axis in (0, 1)
    )
    if min(rows, columns) < 1:
        raise OperatorError(f"a kernel {kernel} with dilation {dilation} must fit into {size} padded by {padding}")
    return rows, columns
