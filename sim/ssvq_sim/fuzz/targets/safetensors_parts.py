"""Files of safetensors as trees: the header, and the data behind it."""

from __future__ import annotations

import json

from ..target import Tree, UnwritableError
from .json_text import json_text, json_tree

LENGTH_BYTES = 8
METADATA = "__metadata__"


def apart(data: bytes) -> Tree:
    """Header and data; texts of the metadata that are JSON are trees of their own. Raises UnwritableError."""
    length = int.from_bytes(data[:LENGTH_BYTES], "little")
    header = json_tree(data[LENGTH_BYTES : LENGTH_BYTES + length])
    if isinstance(header, dict) and isinstance(header.get(METADATA), dict):
        header[METADATA] = {key: _inner(value) for key, value in header[METADATA].items()}
    return {"header": header, "data": data[LENGTH_BYTES + length :]}


def together(tree: Tree) -> bytes:
    """Inverse of `apart`, with the length of the header that it has."""
    parts = tree if isinstance(tree, dict) else {}
    header, data = parts.get("header"), parts.get("data")
    if isinstance(header, dict) and isinstance(header.get(METADATA), dict):
        texts = {key: _outer(value) for key, value in header[METADATA].items()}
        header = {**header, METADATA: texts}
    text = json_text(header)
    return len(text).to_bytes(LENGTH_BYTES, "little") + text + (data if isinstance(data, bytes) else b"")


def repaired(data: bytes) -> bytes:
    """With the length that the header has, when there is one."""
    body = data[LENGTH_BYTES:]
    try:
        text = body.decode("utf-8", "surrogateescape")
        end = json.JSONDecoder().raw_decode(text)[1]
    except (ValueError, RecursionError):
        return data
    end += len(text[end:]) - len(text[end:].lstrip(" "))  # which fill the header up
    return len(text[:end].encode("utf-8", "surrogateescape")).to_bytes(LENGTH_BYTES, "little") + body


def _inner(value: object) -> Tree:
    try:
        return json_tree(value) if isinstance(value, str) else value
    except UnwritableError:
        return value


def _outer(value: Tree) -> Tree:
    """A number or a text may be what it is, or the JSON of it: what the file had was a text."""
    return json_text(value).decode("utf-8", "surrogatepass") if isinstance(value, dict | list) else value
