"""Writing files such that a crash leaves no half of one."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file by one of this content: at any time, power failures included, there is the old or the new one.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        # not the tempfile module, whose files only their owner may read
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):  # the new name must be on the disk, too
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
