"""A folder of things that are slow to make, by the hash of what they are made from; safe for several processes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT_VARIABLE = "SSVQ_CACHE"
ROOT_DEFAULT = Path("build") / "cache"
_KEY_DIGITS = 24


def cache_root() -> Path:
    """The cache's folder: SSVQ_CACHE, or `build/cache`."""
    return Path(os.environ.get(ROOT_VARIABLE) or ROOT_DEFAULT).absolute()


def content_key(parts: Mapping[str, str | bytes]) -> str:
    """A name that stands for exactly this content, under these labels."""
    digest = hashlib.sha256()
    for label, part in sorted(parts.items()):
        data = part.encode() if isinstance(part, str) else part
        digest.update(f"{label}:{len(data)}:".encode() + data)
    return digest.hexdigest()[:_KEY_DIGITS]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, which is created; ends when the process does, however it does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cached_folder(kind: str, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
    """The folder `<cache>/<kind>/<key>`, and whether it was made now.

    `make` fills an empty folder that is moved into place when it is complete; a second process waits meanwhile.
    What `make` raises passes through, and nothing is kept.
    """
    parent = cache_root() / kind
    folder = parent / key
    if folder.is_dir():
        return folder, False
    with locked(parent / f"{key}.lock"):
        if folder.is_dir():
            return folder, False
        unfinished = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
        try:
            make(unfinished)
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return folder, True
