"""Fetching a Debian package, with stand-ins for Debian's programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssvq.data import MissingDataError
from ssvq.data.debian import cache_folder, debian_package

APT = """#!/bin/sh
echo "$@" >> "$LOG"
[ "$1 $2" = "download wordnet-base" ] || { echo 'N: a note' >&2; echo "E: Unable to locate package $2" >&2; exit 100; }
echo archive > wordnet-base_3.0_all.deb
"""
DPKG = """#!/bin/sh
[ "$1" = -x ] && [ -f "$2" ] || exit 2
mkdir -p "$3/usr/share"
echo text > "$3/usr/share/file"
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with programs that are found before the system's; `log` there lists apt's runs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    write(folder / "apt-get", APT)
    write(folder / "dpkg-deb", DPKG)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("LOG", str(folder / "log"))
    return folder


def write(path: Path, script: str) -> None:
    path.write_text(script)
    path.chmod(0o755)


def test_fetched_once(programs: Path, tmp_path: Path) -> None:
    for _ in range(2):
        root = debian_package("wordnet-base", folder=tmp_path / "a/b")
        assert root == tmp_path / "a/b/wordnet-base"
        assert (root / "usr/share/file").read_text() == "text\n"
    assert (programs / "log").read_text() == "download wordnet-base\n"
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["wordnet-base"]


def test_an_extracted_package_needs_no_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingDataError) as caught:
        debian_package("wordnet-base", folder=tmp_path)
    assert str(caught.value) == (
        "there is no apt-get to fetch Debian package wordnet-base with; "
        f"extract the package's files to {tmp_path / 'wordnet-base'} by other means"
    )
    (tmp_path / "wordnet-base").mkdir()
    assert debian_package("wordnet-base", folder=tmp_path) == tmp_path / "wordnet-base"


def test_a_failure_leaves_nothing(programs: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError) as caught:
        debian_package("wordnet-sense", folder=tmp_path / "c")
    assert str(caught.value) == (
        "cannot fetch Debian package wordnet-sense: E: Unable to locate package wordnet-sense; run: sudo apt-get update"
    )
    write(programs / "dpkg-deb", "#!/bin/sh\nmkdir -p $3/usr\necho 'dpkg-deb: error: it is broken' >&2\nexit 2\n")
    with pytest.raises(MissingDataError, match=r"wordnet-base: dpkg-deb: error: it is broken$"):
        debian_package("wordnet-base", folder=tmp_path / "c")
    write(programs / "apt-get", "#!/bin/sh\nexit 0\n")
    with pytest.raises(MissingDataError, match=r"must give one \.deb file, not 0"):
        debian_package("wordnet-base", folder=tmp_path / "c")
    write(programs / "apt-get", "#!/bin/sh\nexit 9\n")
    with pytest.raises(MissingDataError, match=r"wordnet-base: exit code 9; run: sudo apt-get update"):
        debian_package("wordnet-base", folder=tmp_path / "c")
    assert list((tmp_path / "c").iterdir()) == []


def test_another_process_was_first(programs: Path, tmp_path: Path) -> None:
    """The package appears while this process extracts it: what is there stays."""
    there = tmp_path / "c/wordnet-base"
    write(programs / "dpkg-deb", f"{DPKG}mkdir -p {there}\necho first > {there}/first\n")
    assert debian_package("wordnet-base", folder=tmp_path / "c") == there
    assert [path.name for path in there.iterdir()] == ["first"]


@pytest.mark.parametrize("name", ["", "a", "--help", "Wordnet", "../up", "a b"])
def test_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name must be that of a Debian package, such as wordnet-base, not"):
        debian_package(name, folder=tmp_path)


def test_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSVQ_DATA", raising=False)
    assert cache_folder() == Path("build/data")
    monkeypatch.setenv("SSVQ_DATA", "/some/where")
    assert cache_folder() == Path("/some/where")
