"""Whether values have the types of annotations, for what comes from a file."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_NUMBERS = {int: (int,), float: (int, float), str: (str,), bool: (bool,)}


def is_of(value: object, wanted: Any) -> bool:
    """Whether a value has the type of an annotation, whose protocols and other forms stand for any."""
    if wanted is Any:  # a class since Python 3.11
        return True
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted in _NUMBERS:
        return isinstance(value, _NUMBERS[wanted]) and (wanted is bool or not isinstance(value, bool))
    if origin in (typing.Union, types.UnionType):
        return any(is_of(value, one) for one in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return all(is_of(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(is_of, value, arguments))
    if origin is not None and issubclass(origin, Mapping):
        keys, items = arguments
        return isinstance(value, Mapping) and all(is_of(k, keys) and is_of(v, items) for k, v in value.items())
    if origin is np.ndarray:
        (scalar, *_) = typing.get_args(arguments[1])
        return isinstance(value, np.ndarray) and (typing.get_origin(scalar) is not None or _is_scalar(value, scalar))
    if origin is typing.Literal:
        return value in arguments
    if isinstance(wanted, type) and not getattr(wanted, "_is_protocol", False):
        return isinstance(value, wanted)
    return True


def _is_scalar(value: npt.NDArray[Any], scalar: Any) -> bool:
    return not isinstance(scalar, type) or issubclass(value.dtype.type, scalar)


def text_of(kind: Any) -> str:
    """An annotation for an error."""
    return kind.__name__ if isinstance(kind, type) else str(kind)
