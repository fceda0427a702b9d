"""The content cache: made once, never half, also by two processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from ssvq_sim.cache import ROOT_VARIABLE, cached_folder, content_key

_WRITER = """
import sys, time
from pathlib import Path
from ssvq_sim.cache import cached_folder
def make(folder):
    (folder / "made").write_text("x")
    with open(sys.argv[1], "a") as log: log.write("made\\n")
    time.sleep(0.3)
folder, _ = cached_folder("kind", "key", make)
assert (folder / "made").read_text() == "x"
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_made_once() -> None:
    calls: list[Path] = []

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / "file").write_text("content")

    first, made = cached_folder("kind", "key", make)
    assert made
    second, made = cached_folder("kind", "key", make)
    assert not made
    assert first == second
    assert (first / "file").read_text() == "content"
    assert len(calls) == 1


def test_nothing_is_kept_of_a_failure(cache: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "half").write_text("")
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        cached_folder("kind", "key", make)
    assert [path.name for path in (cache / "kind").iterdir()] == ["key.lock"]
    _, made = cached_folder("kind", "key", lambda folder: None)
    assert made


def test_two_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITER, str(tmp_path / "log")]
    environment = {"PYTHONPATH": ":".join(sys.path), ROOT_VARIABLE: str(tmp_path / "cache")}
    processes = [subprocess.Popen(command, env=environment) for _ in range(3)]
    assert [process.wait(30) for process in processes] == [0, 0, 0]
    assert (tmp_path / "log").read_text() == "made\n"


def test_key_tells_labels_and_contents_apart() -> None:
    keys = {
        content_key(parts)
        for parts in ({"a": "bc"}, {"ab": "c"}, {"a": "b", "c": ""}, {"a": b"bd"}, {"a": "", "bc": ""}, {})
    }
    assert len(keys) == 6
    assert content_key({"a": "1", "b": "2"}) == content_key({"b": b"2", "a": b"1"})
