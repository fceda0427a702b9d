"""Which function makes what of an ONNX operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ssvq.network.front.handlers import Handler

H = TypeVar("H", bound=Handler)

TABLE: dict[str, Handler] = {}
"""By the operation's type, such as `Conv`.

A handler takes the operation's inputs in their order, None for one that is left out, and the attributes by name.
"""


def maps(*operations: str) -> Callable[[H], H]:
    """The decorated function handles these operations."""

    def register(handler: H) -> H:
        for operation in operations:
            TABLE[operation] = handler
        return handler

    return register
