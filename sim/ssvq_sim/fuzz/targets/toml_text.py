"""TOML from plain data, which the standard library only reads."""

from __future__ import annotations

import json
import math
import tomllib
from typing import Any

from ..target import Tree, UnwritableError


def toml_text(table: Tree) -> bytes:
    """A table as TOML. Raises UnwritableError for what is no table, or has something that TOML has no way to say."""
    if not isinstance(table, dict):
        raise UnwritableError(f"TOML is a table, not {type(table).__name__}")
    text = "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items())
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UnwritableError(str(error)) from error


def toml_tree(data: bytes) -> Tree:
    """Inverse of `toml_text`; raises UnwritableError where it is no TOML."""
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise UnwritableError(str(error)) from error


def without_none(value: Any) -> Any:
    """Plain data without the entries that are None, which stand for settings that are absent."""
    if isinstance(value, dict):
        return {key: without_none(child) for key, child in value.items() if child is not None}
    return [without_none(child) for child in value] if isinstance(value, list | tuple) else value


def _key(key: str) -> str:
    return json.dumps(key, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"{value}"
    if isinstance(value, int):
        try:
            return str(value)
        except ValueError as error:  # of more digits than Python writes
            raise UnwritableError(str(error)) from error
    if isinstance(value, str):
        return _key(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    raise UnwritableError(f"TOML has no {type(value).__name__}")
