"""Tables of a TOML file as frozen dataclasses, strictly: what is not known, missing or of another type is an error."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

T = TypeVar("T")


class SettingsError(ValueError):
    """A setting is unknown, missing or breaks a rule; the text names setting, value and rule."""


def read_table(kind: type[T], table: object, where: str) -> T:
    """A dataclass from the table of its settings.

    Fields may be bool, int, float, str, Path, an enum of strings, a Literal of strings, a tuple of these, a dict,
    another dataclass, and each of them or None, which stands for a setting that is absent. Of a union of dataclasses
    the one is taken whose field `kind`, a Literal, has the value in the table.

    Args:
        kind: a dataclass, whose `__post_init__` may check further; its ValueError or TypeError begins with a field.
        table: what `tomllib` has read.
        where: name of the table, for errors; "" for the whole file.

    Raises:
        SettingsError: as said there.
    """
    if not isinstance(table, Mapping):
        raise SettingsError(f"{where} must be a table, not {table!r}")
    prefix = f"{where}." if where else ""
    known = {field.name: field for field in fields(kind) if field.init}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise SettingsError(f"{prefix}{key} is unknown; known are {', '.join(known)}")
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name in table:
            values[name] = _value(hints[name], table[name], f"{prefix}{name}")
        elif _is_required(field):
            raise SettingsError(f"{prefix}{name} is missing")
    try:
        return kind(**values)
    except SettingsError:
        raise
    except (ValueError, TypeError) as error:
        text = str(error)
        about = prefix if text.split(" ", 1)[0].rstrip(",:") in known else f"{where}: "
        raise SettingsError(f"{about}{text}") from error


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _value(hint: Any, value: object, where: str) -> object:
    """The value as the type says."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        choices = [argument for argument in arguments if argument is not type(None)]
        return _value(choices[0] if len(choices) == 1 else _of_kind(choices, value, where), value, where)
    if is_dataclass(hint):
        return read_table(typing.cast(type, hint), value, where)
    if origin is Literal:
        return _chosen(value, arguments, where)
    if origin is tuple:
        return _items(arguments, value, where)
    if origin is dict:
        return dict(_checked(value, Mapping, "a table", where))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(_chosen(value, [member.value for member in hint], where))
    if hint is Path:
        return Path(_checked(value, str, "a path in quotes", where))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise SettingsError(f"{where} must be a number that a float can be, not one so large") from error
    words = {bool: "true or false", int: "an integer", float: "a number", str: "a text in quotes"}
    return _checked(value, hint, words[hint], where)


def _of_kind(choices: list[Any], value: object, where: str) -> Any:
    """The dataclass for a table's `kind`."""
    kinds = {typing.get_args(typing.get_type_hints(choice)["kind"])[0]: choice for choice in choices}
    if not isinstance(value, Mapping) or "kind" not in value:
        raise SettingsError(f"{where}.kind is missing; it must be one of {', '.join(kinds)}")
    return kinds[_chosen(value["kind"], tuple(kinds), f"{where}.kind")]


def _checked(value: object, kind: Any, words: str, where: str) -> Any:
    # a bool is an int to Python
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise SettingsError(f"{where} must be {words}, not {value!r}")
    return value


def _chosen(value: object, choices: Sequence[object], where: str) -> object:
    if value not in choices or isinstance(value, bool):
        raise SettingsError(f"{where} must be one of {', '.join(map(str, choices))}, not {value!r}")
    return value


def _items(kinds: tuple[Any, ...], value: object, where: str) -> tuple[object, ...]:
    items = _checked(value, list, "a list", where)
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(items)
    if len(items) != len(kinds):
        raise SettingsError(f"{where} must have {len(kinds)} values, not {len(items)}")
    return tuple(_value(kind, item, f"{where}[{n}]") for n, (kind, item) in enumerate(zip(kinds, items, strict=True)))
