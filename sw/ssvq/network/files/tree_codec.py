"""Frozen dataclasses as JSON and arrays, and back: data of a closed set of classes, and nothing that runs.

JSON has numbers (a float that is not finite as `{"float": "inf"}`), strings, booleans and null as they are, tuples as
lists, and everything else as an object of one key: `{"map": [[key, value], ...]}`, `{"array": [entry, dtype]}` and
`{"tensor": [entry, dtype]}`, whose integers are stored in the narrowest type that holds them, `{"dtype": name}` of
PyTorch, `{"torch": name}` of its operations and such, `{"enum": [class, member]}`, and
`{"CLASS": {field: value, ...}}`.
"""

from __future__ import annotations

import hashlib
import math
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ssvq.network.files import torch_values
from ssvq.network.files.annotations import is_of, text_of
from ssvq.network.tensor_type import short

Array = npt.NDArray[Any]
_NARROW = (np.int8, np.int16, np.int32)
_DTYPES = ("int8", "int16", "int32", "int64", "uint8", "bool", "float32", "float64")
_DEPTH_MAX = 64


class CodecError(ValueError):
    """Data that cannot be written, or that is not what the codec writes; the text says where."""


@dataclass(frozen=True)
class Codec:
    """Writes and reads values of some classes.

    Attributes:
        classes: dataclasses and enums by the names that they have in files.
    """

    classes: Mapping[str, type]

    @classmethod
    def of(cls, classes: Iterable[type]) -> Codec:
        """Classes by their own names. Raises CodecError when two have one."""
        named: dict[str, type] = {}
        for kind in classes:
            if kind.__name__ in named or kind.__name__ in _READERS:
                raise CodecError(f"the name {kind.__name__} is taken")
            named[kind.__name__] = kind
        return cls(named)

    def encode(self, value: object) -> tuple[Any, dict[str, Array]]:
        """A value as JSON and arrays by entry; equal arrays are one entry. Raises CodecError for unknown classes."""
        arrays: dict[str, Array] = {}
        return _Encoder(self, arrays).encode(value, "file"), arrays

    def decode(self, data: object, arrays: Mapping[str, Array], wanted: type) -> Any:
        """Inverse of `encode`, for an object of a class.

        Raises:
            CodecError: unknown classes, members or entries, missing or unknown fields, or values of other types than
                the class says. What a class raises of its own values is among them.
        """
        return _Decoder(self, arrays).checked(data, wanted, "file", 0)


class _Encoder:
    def __init__(self, codec: Codec, arrays: dict[str, Array]) -> None:
        self._names = {kind: name for name, kind in codec.classes.items()}
        self._arrays = arrays
        self._entries: dict[bytes, str] = {}

    def encode(self, value: object, where: str) -> Any:
        if isinstance(value, Enum):
            return {"enum": [self._name(type(value), where), value.name]}
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, np.integer):
            return int(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, tuple | list):
            return [self.encode(item, f"{where}[{number}]") for number, item in enumerate(value)]
        if isinstance(value, Mapping):
            items = ((self.encode(key, where), self.encode(item, f"{where}.{key}")) for key, item in value.items())
            return {"map": [list(pair) for pair in items]}
        if isinstance(value, torch.dtype):
            return {"dtype": short(value)}
        if isinstance(value, torch.Tensor):
            if short(value.dtype) not in _DTYPES:  # numpy may not have it
                raise CodecError(f"{where}: a file cannot hold tensors of {short(value.dtype)}")
            return {"tensor": self._entry(value.detach().numpy(), where)}
        if (named := torch_values.name_of(value)) is not None:
            return {"torch": named}
        if isinstance(value, np.ndarray):
            return {"array": self._entry(value, where)}
        if is_dataclass(value):
            own = {
                field.name: self.encode(getattr(value, field.name), f"{where}.{field.name}") for field in fields(value)
            }
            return {self._name(type(value), where): own}
        raise CodecError(f"{where}: a file cannot hold {type(value).__name__}")

    def _name(self, kind: type, where: str) -> str:
        if kind not in self._names:
            raise CodecError(f"{where}: a file cannot hold {kind.__name__}")
        return self._names[kind]

    def _entry(self, array: Array, where: str) -> list[str]:
        if array.dtype.name not in _DTYPES:
            raise CodecError(f"{where}: a file cannot hold arrays of {array.dtype}")
        narrow = np.array(_narrowed(array), order="C")
        key = hashlib.sha256(f"{narrow.dtype}{narrow.shape}".encode() + narrow.tobytes()).digest()
        if key not in self._entries:
            self._entries[key] = f"{len(self._entries):06}"
            self._arrays[self._entries[key]] = narrow
        return [self._entries[key], array.dtype.name]


def _narrowed(array: Array) -> Array:
    if array.dtype.kind != "i" or not array.size:
        return array
    low, high = int(array.min()), int(array.max())
    for dtype in _NARROW:
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return array.astype(dtype)
    return array


class _Decoder:
    def __init__(self, codec: Codec, arrays: Mapping[str, Array]) -> None:
        self._classes, self._arrays = codec.classes, arrays
        self._made: dict[tuple[str, str], Array] = {}
        self._tensors: dict[tuple[str, str], torch.Tensor] = {}

    def checked(self, data: object, wanted: Any, where: str, depth: int) -> Any:
        """A value, of the type of an annotation."""
        value = self._decode(data, where, depth)
        if not is_of(value, wanted):
            raise CodecError(f"{where} must be {text_of(wanted)}, not {text_of(type(value))}")
        return value

    def _decode(self, data: object, where: str, depth: int) -> Any:
        if depth > _DEPTH_MAX:
            raise CodecError(f"{where} is more than {_DEPTH_MAX} levels deep")
        if data is None or isinstance(data, bool | int | float | str):
            return data
        if isinstance(data, list):
            return tuple(self._decode(item, f"{where}[{number}]", depth + 1) for number, item in enumerate(data))
        if not isinstance(data, dict) or len(data) != 1:
            raise CodecError(f"{where} must be an object of one key")
        ((name, content),) = data.items()
        try:
            if name in _READERS:
                return _READERS[name](self, content, where, depth + 1)
            return self._object(name, content, where, depth + 1)
        except CodecError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise CodecError(f"{where}: {error}") from error

    def _object(self, name: str, content: object, where: str, depth: int) -> Any:
        kind = self._classes.get(name)
        if kind is None or not is_dataclass(kind) or not isinstance(content, dict):
            raise CodecError(f"{where}: there is no class {name!r}")
        hints = _hints(kind)
        wanted = [field.name for field in fields(kind)]
        if sorted(content) != sorted(wanted):
            raise CodecError(f"{where}: {name} must have exactly {', '.join(wanted) or 'no fields'}")
        return kind(**{own: self.checked(content[own], hints[own], f"{where}.{own}", depth) for own in wanted})

    def map(self, content: Any, where: str, depth: int) -> dict[Any, Any]:
        found = {}
        for key, item in content:
            if isinstance(key, dict | list) or key in found:
                raise CodecError(f"{where}: keys must be plain and differ, not {key!r}")
            found[key] = self._decode(item, f"{where}.{key}", depth)
        return found

    def array(self, content: Any, where: str, _depth: int) -> Array:
        """All that have an entry in one type share one array, which nobody can write into."""
        entry, dtype = content
        if (entry, dtype) not in self._made:
            self._made[entry, dtype] = self._widened(entry, dtype, where)
            self._made[entry, dtype].setflags(write=False)
        return self._made[entry, dtype]

    def tensor(self, content: Any, where: str, _depth: int) -> torch.Tensor:
        """Likewise, but PyTorch has no tensors that nobody can write into."""
        entry, dtype = content
        if (entry, dtype) not in self._tensors:
            self._tensors[entry, dtype] = torch.from_numpy(self._widened(entry, dtype, where))
        return self._tensors[entry, dtype]

    def _widened(self, entry: str, dtype: str, where: str) -> Array:
        if entry not in self._arrays or dtype not in _DTYPES:
            raise CodecError(f"{where}: there is no array {entry!r} of {dtype!r}")
        stored = self._arrays[entry]
        if not np.can_cast(stored.dtype, dtype, casting="safe"):
            raise CodecError(f"{where}: an array of {stored.dtype} is none of {dtype}")
        return stored.astype(dtype)

    def enum(self, content: Any, where: str, _depth: int) -> Enum:
        name, member = content
        kind = self._classes.get(name)
        if kind is None or not issubclass(kind, Enum) or member not in kind.__members__:
            raise CodecError(f"{where}: there is no {member!r} of {name!r}")
        return kind[member]


def _float(_decoder: _Decoder, content: Any, where: str, _depth: int) -> float:
    if content not in ("inf", "-inf", "nan"):
        raise CodecError(f"{where}: a float must be inf, -inf or nan, not {content!r}")
    return float(content)


def _dtype(_decoder: _Decoder, content: Any, where: str, _depth: int) -> torch.dtype:
    if content not in _DTYPES:
        raise CodecError(f"{where}: there is no dtype {content!r}")
    return getattr(torch, content)  # type: ignore[no-any-return]  # of a closed list


def _torch(_decoder: _Decoder, content: Any, where: str, _depth: int) -> object:
    if (found := torch_values.named(content)) is None:
        raise CodecError(f"{where}: there is no {content!r} of PyTorch that a file may name")
    return found


_READERS: dict[str, Callable[[_Decoder, Any, str, int], Any]] = {
    "map": _Decoder.map,
    "array": _Decoder.array,
    "tensor": _Decoder.tensor,
    "enum": _Decoder.enum,
    "float": _float,
    "dtype": _dtype,
    "torch": _torch,
}


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
