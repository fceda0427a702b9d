"""Results of long runs, kept in files: what is there and was made from the same things is not made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..files import write_whole


def key_of(*parts: str) -> str:
    """Fingerprint of everything that a result depends on."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def read_cached(path: Path, key: str) -> Any:
    """The value in a file that was written under the same key; None when there is none, or the file is damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data.get("value") if isinstance(data, dict) and data.get("key") == key else None


def cached(path: Path, key: str, make: Callable[[], Any]) -> Any:
    """The value in a file under the key, or that of `make`, which is then in the file. Values are plain data."""
    value = read_cached(path, key)
    if value is None:
        keep(path, key, make())
        value = read_cached(path, key)
    return value


def keep(path: Path, key: str, value: Any) -> None:
    """Write a value, of plain data, for `read_cached`."""
    write_whole(path, json.dumps({"key": key, "value": value}, indent=1) + "\n")
