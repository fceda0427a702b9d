"""JSON as trees, for formats that are JSON or have some."""

from __future__ import annotations

import json

from ..target import Tree, UnwritableError


def json_text(tree: Tree) -> bytes:
    """A tree as JSON, with lone surrogates as the file's bytes would have them; UnwritableError where it has bytes."""
    try:
        return json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, RecursionError) as error:
        raise UnwritableError(str(error)) from error


def json_tree(data: bytes | str) -> Tree:
    """Inverse of `json_text`; raises UnwritableError where it is no JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnwritableError(str(error)) from error
