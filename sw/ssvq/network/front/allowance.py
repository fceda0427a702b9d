"""How much memory reading a file may take for what the file computes: a short file can ask for any amount."""

from __future__ import annotations

import math
from pathlib import Path

from ssvq.network.errors import GraphError
from ssvq.network.tensor_type import Shape

SIZE_FACTOR, SPARE_BYTES = 4, 64 << 20


class Allowance:
    """Bytes that are left.

    Args:
        total: bytes for all constants that are computed, and for what runs to find the shapes of a host's results.
    """

    def __init__(self, total: int) -> None:
        self._total = self._left = total

    @classmethod
    def of_file(cls, file: Path) -> Allowance:
        """Four times a file's size, and 64 MiB."""
        return cls(SIZE_FACTOR * file.stat().st_size + SPARE_BYTES)

    def take(self, where: str, shape: Shape, itemsize: int) -> None:
        """Take a tensor's bytes for good. Raises GraphError where there are not as many left; `where` asks for them."""
        self._left -= self._require(where, shape, itemsize)

    def borrow(self, where: str, shape: Shape, itemsize: int) -> None:
        """The same for a tensor that does not stay."""
        self._require(where, shape, itemsize)

    def _require(self, where: str, shape: Shape, itemsize: int) -> int:
        wanted = math.prod(max(0, length) for length in shape) * itemsize
        if wanted > self._left:
            rule = f"what a file computes must be at most {self._total} bytes, {SIZE_FACTOR} times its size and"
            asked = f"{shape} is {wanted} of the {self._left} that are left"
            raise GraphError(where, f"{rule} {SPARE_BYTES >> 20} MiB; {asked}")
        return wanted
