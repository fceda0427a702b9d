"""Which function makes what of an ATen operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ssvq.network.front.handlers import Handler

CREATION = frozenset(("full_like", "new_full", "new_ones", "new_zeros", "ones_like", "zeros_like"))
"""Operations that take of their operand no value but the shape or dtype."""

H = TypeVar("H", bound=Handler)

TABLE: dict[str, Handler] = {}
"""By the operation's name without overload, such as `conv2d`.

A handler takes the arguments by name, as ATen names them, but for `input` and `self`, which are x, and `other`, y.
"""

DECOMPOSED = frozenset(
    (
        *("addcdiv", "addcmul", "avg_pool1d", "adaptive_avg_pool1d", "celu", "channel_shuffle", "cosine_similarity"),
        *("einsum", "glu", "linalg_matmul", "pixel_shuffle", "pixel_unshuffle", "rms_norm"),
        *("roll", "selu", "tile", "_fused_rms_norm"),
    )
)
"""Operations that PyTorch's own decompositions bring down to those of the table.

Others stay whole, as decompositions of a resampling, say, would be dozens of operations that no core does.
"""


def maps(*operations: str) -> Callable[[H], H]:
    """The decorated function handles these operations."""

    def register(handler: H) -> H:
        for operation in operations:
            TABLE[operation] = handler
        return handler

    return register
