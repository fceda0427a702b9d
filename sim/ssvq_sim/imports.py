"""Which of the project's modules import which, read from their sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def imports(source: str, module: str, *, is_package: bool) -> Iterator[str]:
    """Full names of the modules that a module's source imports, anywhere in it; `from a import b` yields a and a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            above = parts[: len(parts) - node.level + is_package] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
