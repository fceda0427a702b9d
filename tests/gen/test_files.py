"""Files that are there whole or not at all."""

from pathlib import Path

import pytest

from ssvq_gen.files import write_whole


@pytest.mark.parametrize(("content", "expected"), [("text \u00b5\n", b"text \xc2\xb5\n"), (b"\0\xff", b"\0\xff")])
def test_written_with_nothing_beside_it(tmp_path: Path, content: str | bytes, expected: bytes) -> None:
    path = tmp_path / "new" / "a"
    for _ in range(2):
        write_whole(path, content)
        assert [p.name for p in path.parent.iterdir()] == ["a"]
        assert path.read_bytes() == expected


def test_a_broken_run_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:1])
        raise OSError("full")

    path = tmp_path / "a"
    write_whole(path, "old")
    monkeypatch.setattr(Path, "write_bytes", breaks)
    with pytest.raises(OSError, match="full"):
        write_whole(path, "new")
    assert path.read_text() == "old"
