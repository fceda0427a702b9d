"""What a worker is doing, in memory that outlives it: counts, and the input that is being read."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_COUNTS = struct.Struct("<QQdQ")
CONTENT_MAX = 1 << 22


class Status:
    """A file of counts and one input, mapped by the worker and by who watches it.

    Parameters
    ----------
    path : the file
    new : begin with zeros; without it, the file is there

    Members
    -------
    examples, executions : inputs that were begun, of each way
    seconds : processor time of the worker's guided executions
    """

    def __init__(self, path: Path, *, new: bool = False) -> None:
        if new:
            path.write_bytes(bytes(_COUNTS.size + CONTENT_MAX))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _COUNTS.size + CONTENT_MAX)
        self.examples = self.executions = 0
        self.seconds = 0.0

    def begin(self, content: bytes) -> None:
        """Note an input, before it is read, and the counts."""
        kept = content[:CONTENT_MAX]
        self._map[_COUNTS.size : _COUNTS.size + len(kept)] = kept
        self.save(len(kept))

    def save(self, length: int = 0) -> None:
        """Note the counts, and that an input of this length is being read."""
        _COUNTS.pack_into(self._map, 0, self.examples, self.executions, self.seconds, length)

    def look(self) -> None:
        """Take the counts that the other side has noted."""
        self.examples, self.executions, self.seconds, _ = _COUNTS.unpack_from(self._map, 0)

    @property
    def content(self) -> bytes:
        """The input that was begun last."""
        length = _COUNTS.unpack_from(self._map, 0)[3]
        return bytes(self._map[_COUNTS.size : _COUNTS.size + length])

    def close(self) -> None:
        """Unmap it."""
        self._map.close()
