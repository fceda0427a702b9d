from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from ssvq import files
from ssvq.files import write_atomically
from ssvq.train.checkpoint import CheckpointFolder, CheckpointMismatchError
from ssvq.train.state_file import StateFileError, load_state, save_state

SETTINGS = {"training.seed": 0, "rules.0.format": "ssvq", "optimizer.betas": [0.9, 0.99]}


def _folder(path: Path, **changes: Any) -> CheckpointFolder:
    return CheckpointFolder(path, configuration=SETTINGS | changes)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def test_a_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    shared = torch.randn(3, generator=torch.Generator().manual_seed(0))
    tensors = [torch.tensor(5), torch.zeros(0), torch.tensor([True]), torch.randn(4, 3).T, torch.ones(2).half()]
    state = {"a": [1, 0.1, 1e-300, "text", None, True, {}], "b": {"first": shared, "second": shared[1:]}, "c": tensors}
    save_state(tmp_path / "state", state)
    found = load_state(tmp_path / "state")
    assert found["a"] == state["a"]
    for key in ("first", "second"):
        assert torch.equal(found["b"][key], state["b"][key])  # type: ignore[call-overload]
    for loaded, tensor in zip(found["c"], tensors, strict=True):
        assert isinstance(loaded, Tensor)
        assert loaded.dtype == tensor.dtype
        assert torch.equal(loaded, tensor)


@pytest.mark.parametrize(
    ("state", "text"), [({1: 2}, "keys of a state must be texts, not 1"), ({"a": {1, 2}}, "a state must have no set")]
)
def test_what_is_no_state(state: dict[Any, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=text):
        save_state(tmp_path / "state", state)
    assert not list(tmp_path.iterdir())


def test_what_is_no_state_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    for content in (b"", b"text", (2**40).to_bytes(8, "little") + b"{}"):
        path.write_bytes(content)
        with pytest.raises(StateFileError, match="state is no whole state"):
            load_state(path)
    path.write_bytes(safetensors.torch.save({}, metadata={"state": "[" * 5000}))
    with pytest.raises(StateFileError, match="state is no whole state: maximum recursion depth"):
        load_state(path)
    save_state(path, {"a": torch.zeros(3)})
    _truncate(path)
    with pytest.raises(StateFileError):
        load_state(path)
    with pytest.raises(StateFileError, match="No such file"):
        load_state(tmp_path / "none")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_content_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    path = tmp_path / "file"
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: seen.append(path.exists()) or os.fstat(descriptor))
    write_atomically(path, b"new")
    assert seen == [False, True]  # the file's content, then the folder's


def test_the_newest_whole_checkpoint_counts(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "checkpoints")
    assert folder.latest() is None
    paths = [folder.save(step, {"value": torch.tensor(step)}) for step in (5, 10, 15)]
    assert folder.files() == paths[:0:-1]  # two are kept
    latest = folder.latest()
    assert latest is not None
    assert (latest.step, int(latest.state["value"]), latest.ignored) == (15, 15, ())
    _truncate(paths[2])
    latest = folder.latest()
    assert latest is not None
    assert (latest.step, latest.ignored) == (10, (paths[2],))
    _truncate(paths[1])
    with pytest.raises(StateFileError, match=r"no checkpoint in .*checkpoints is whole: .*checkpoint-000000010"):
        folder.latest()
    folder.clear()
    assert folder.latest() is None


def test_a_checkpoint_that_was_not_finished_does_no_harm(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    folder.save(1, {})
    leftover = tmp_path / ".0123456789abcdef.tmp"  # the process was killed before it had its name
    leftover.write_bytes(b"half")
    latest = folder.latest()
    assert latest is not None
    assert latest.step == 1
    folder.save(2, {})
    assert not leftover.exists()


def test_checkpoints_of_another_configuration_are_refused(tmp_path: Path) -> None:
    _folder(tmp_path).save(1, {})
    assert _folder(tmp_path).latest() is not None
    with pytest.raises(CheckpointMismatchError) as caught:
        _folder(tmp_path, **{"training.seed": 1}).latest()
    path = tmp_path / "checkpoint-000000001.safetensors"
    assert str(caught.value) == f"{path} is of another configuration: training.seed is 1, there 0"
    changes = {"training.seed": 1, "rules.0.format": "vq", "new": True, "optimizer.betas": [0, 0]}
    with pytest.raises(CheckpointMismatchError, match="rules.0.format is 'vq', there 'ssvq', .*, and 1 more"):
        _folder(tmp_path, **changes).latest()
