"""A user's text."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssvq.data import DataFileError
from ssvq.data.text import read_lines


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes("\ufeff first line\r\n\n  \nzwölf\u2028drei\nlast".encode())
    assert read_lines(path) == ["first line", "zwölf\u2028drei", "last"]


def test_refuses(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"good\nb\xe4d\n")
    with pytest.raises(DataFileError, match=r"t\.txt:2 must be UTF-8: invalid continuation byte at byte 2"):
        read_lines(path)
    path.write_bytes(b"\n \n")
    with pytest.raises(DataFileError, match=r"t\.txt must have at least one line of text"):
        read_lines(path)
    with pytest.raises(DataFileError, match=r"none cannot be read: No such file"):
        read_lines(tmp_path / "none")
    with pytest.raises(DataFileError, match=r"cannot be read: Is a directory"):
        read_lines(tmp_path)
