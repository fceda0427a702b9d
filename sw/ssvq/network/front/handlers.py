"""Functions that make of an operation of PyTorch or ONNX what the operator set has for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ssvq.network.errors import UnsupportedError
from ssvq.network.front.builder import Value

Handler = Callable[..., Value | tuple[Value, ...]]
"""Takes a builder and an operation's arguments.

It returns one value, or a tuple where the operation has several results. It raises UnsupportedError or OperatorError
where the operation has no form in the operator set.
"""


def called(handler: Handler, *arguments: Any, **keywords: Any) -> Value | tuple[Value, ...]:
    """What a handler returns; UnsupportedError where the operation has arguments that the handler does not know."""
    try:
        inspect.signature(handler).bind(*arguments, **keywords)
    except TypeError as error:
        raise UnsupportedError(f"its arguments are not known: {error}") from None
    return handler(*arguments, **keywords)
