"""A file that was being written when the process died is never taken for a whole one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssvq import container
from ssvq.accuracy.store import write_outcomes
from ssvq.network.files.network_file import save_network
from ssvq.network.files.run_files import save_outputs
from ssvq.program_file import save_program
from ssvq.train.state_file import save_state
from ssvq_sim.fuzz.target import Target, find_target

KILLED = 9
CUTS = 100
"""Lengths that are tried of a file, of its first and last 64 bytes all."""

WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "container": lambda value, path: container.save(path, value),
    "program": save_program,
    "network": save_network,
    "state": lambda value, path: save_state(path, value),
    "record": lambda value, path: value.save(path),
    "outcomes": lambda value, path: write_outcomes(path, value),
    "npy": lambda value, path: save_outputs({"x": value[0][0].numpy()}, path.with_suffix(".npy")),
    "arrays": lambda value, path: save_outputs({"x": value[0][0].numpy()}, path.with_suffix(".safetensors")),
}
"""Everything that is written of a file of each target."""
CUT_WHOLE = ("outcomes",)
"""Files of lines, of which some whole lines are a whole file: these only have to appear at once."""


def cuts(length: int) -> list[int]:
    """Lengths below this one."""
    step = max(1, length // CUTS)
    return sorted({*range(min(64, length)), *range(max(0, length - 64), length), *range(0, length, step)})


def taken(target: Target, data: bytes) -> bytes | None:
    """What is written of what is read of a file; None where it is refused."""
    assert target.write is not None
    try:
        return target.write(target.read(data))
    except target.errors:
        return None


@pytest.mark.parametrize("name", [name for name in (*WRITERS, "checkpoint", "idx") if name not in CUT_WHOLE])
def test_no_part_of_a_file_is_taken_for_the_whole(name: str) -> None:
    target = find_target(name)
    data = target.seeds()[0]
    whole = taken(target, data)
    assert whole is not None
    read = [found for length in cuts(len(data)) if (found := taken(target, data[:length])) is not None]
    assert read == [whole] * (name == "record")  # without its final newline a record is the same


def killed_in(step: str, write: Callable[[], None]) -> int:
    """Exit status of a process that dies in the middle of a write: as it begins a step, or behind it."""
    child = os.fork()
    if child == 0:
        try:
            module, name, when = step.split(".")
            place: Any = {"os": os, "Path": Path}[module]
            own = getattr(place, name)

            def die(*arguments: Any, **settings: Any) -> None:
                if when == "after":
                    own(*arguments, **settings)
                os._exit(KILLED)

            setattr(place, name, die)
            write()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("name", WRITERS)
def test_a_process_that_dies_while_it_writes_leaves_the_old_file_or_the_new(name: str, tmp_path: Path) -> None:
    target = find_target(name)
    value = target.read(target.seeds()[0])
    path = tmp_path / "file"
    WRITERS[name](value, path)
    (path,) = tmp_path.iterdir()
    new = path.read_bytes()
    for step, left in (
        ("os.fsync.before", b"old"),
        ("Path.replace.before", b"old"),
        ("Path.replace.after", new),
    ):
        path.write_bytes(b"old")
        assert killed_in(step, lambda: WRITERS[name](value, path)) == KILLED, "the writer must take this step"
        assert path.read_bytes() == left


def test_a_writer_that_leaves_a_part_is_found(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def plain() -> None:
        with path.open("wb") as file:
            np.arange(10).tofile(file)
            os.fsync(file.fileno())

    assert killed_in("os.fsync.before", plain) == KILLED
    assert path.read_bytes() != b"old"
