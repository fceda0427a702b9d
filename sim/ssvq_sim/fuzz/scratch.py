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
_MEMORY = Path("/dev/shm")
"""Files here are in memory, where Linux has it: half of the time went to files on a disk."""


def new_folder() -> Path:
    """A new folder for files that are written and read often; whoever asks for it removes it."""
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="ssvq-fuzz-", dir=place))


@cache
def folder() -> Path:
    """The folder of this process's files."""
    if given := os.environ.get(SCRATCH_VARIABLE):
        return Path(given)
    made = new_folder()
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def as_file(data: bytes, name: str) -> Path:
    """A file of this content, which the next call of the same name replaces."""
    path = folder() / name
    path.write_bytes(data)
    return path
