"""Channels of one or two tensors as they are, apart from the others of the same memory words: exact."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ssvq_gen.format import Opcode
from ssvq_gen.vector_arithmetic import SHIFTS

from .channel_operation import shared
from .layer_arithmetic import CompileError
from .reference import ActivationScale, Int64Array
from .vector_operation import VectorOperation

BoolArray = npt.NDArray[np.bool_]


def chosen(name: str, first: BoolArray, second: BoolArray | None = None, *, scale: ActivationScale) -> VectorOperation:
    """Channels of x where `first` holds, of y where `second` does, and real zeros where neither does, bool (C,) each.

    All three tensors have the same scale. Raises CompileError where both hold, or for other shapes.
    """
    if first.ndim != 1 or (second is not None and second.shape != first.shape):
        shapes = [first.shape] if second is None else [first.shape, second.shape]
        raise CompileError(name, f"choices must be of the same channels, not {' and '.join(map(str, shapes))}")
    if second is not None and (first & second).any():
        both = int(np.flatnonzero(first & second)[0])
        raise CompileError(name, f"a channel must be of one tensor, channel {both} is of both")
    return VectorOperation(
        name=name,
        opcode=Opcode.SUM,
        channels=first.size,
        multiplier=_ones(first),
        second_multiplier=shared(0) if second is None else _ones(second),
        shift=SHIFTS[0],
        input_zero_point=scale.zero_point,
        second_zero_point=0 if second is None else scale.zero_point,
        has_second=second is not None,
        zero_point=scale.zero_point,
        output_scale=scale,
    )


def _ones(where: BoolArray) -> Int64Array:
    """Multipliers of 1, and of 0 elsewhere, in steps of the smallest shift."""
    return where.astype(np.int64) << SHIFTS[0]
