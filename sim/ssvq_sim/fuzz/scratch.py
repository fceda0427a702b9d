"""Bytes as a file, for readers that take a path."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

SCRATCH_VARIABLE = "SSVQ_FUZZ_SCRATCH"
"""Folder of a process's scratch files; a new temporary one where it is not set."""


@cache
def folder() -> Path:
    """The folder of this process's files."""
    if given := os.environ.get(SCRATCH_VARIABLE):
        return Path(given)
    made = Path(tempfile.mkdtemp(prefix="ssvq-fuzz-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def as_file(data: bytes, name: str) -> Path:
    """A file of this content, which the next call of the same name replaces."""
    path = folder() / name
    path.write_bytes(data)
    return path
