"""Checkpoints of a training run: one file each, of which the newest whole one counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssvq.train.state_file import StateFileError, load_state, save_state

FILE_NAME = "checkpoint-{step:09d}.safetensors"
FILE_PATTERN = re.compile(r"checkpoint-(\d{9})\.safetensors")
DIFFERENCES_SHOWN = 3


class CheckpointMismatchError(ValueError):
    """Checkpoints are those of another configuration; the text names what differs."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        step: steps that were done.
        state: of everything that goes on.
        ignored: newer files that are not whole.
    """

    step: int
    state: dict[str, Any]
    ignored: tuple[Path, ...] = ()


class CheckpointFolder:
    """The checkpoints of one configuration.

    Args:
        folder: is made when the first checkpoint is written.
        configuration: settings that determine the numbers, by name; plain values.
        keep: how many of the newest stay.
    """

    def __init__(self, folder: Path, *, configuration: Mapping[str, Any], keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep
        self._configuration = dict(configuration)

    def files(self) -> list[Path]:
        """Checkpoints, the newest first."""
        if not self.folder.is_dir():
            return []
        found = [path for path in self.folder.iterdir() if FILE_PATTERN.fullmatch(path.name)]
        return sorted(found, reverse=True)

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write a checkpoint, and remove those that are too old. A kill at any moment loses no earlier one.

        Raises:
            OSError: it cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / FILE_NAME.format(step=step)
        save_state(path, {"step": step, "configuration": self._configuration, "state": dict(state)})
        for old in self.files()[self.keep :]:
            old.unlink()
        for leftover in self.folder.glob(".*.tmp"):  # of a run that was killed while it wrote
            leftover.unlink(missing_ok=True)
        return path

    def latest(self) -> Checkpoint | None:
        """The newest whole checkpoint, or None.

        Raises:
            CheckpointMismatchError: it is of another configuration.
            StateFileError: there are checkpoints, but none is whole.
        """
        files = self.files()
        for number, path in enumerate(files):
            try:
                content = load_state(path)
                step, configuration, state = (content[key] for key in ("step", "configuration", "state"))
            except (StateFileError, KeyError) as error:
                if path == files[-1]:
                    raise StateFileError(f"no checkpoint in {self.folder} is whole: {error}") from error
                continue
            self._require_same(path, configuration)
            return Checkpoint(step=step, state=state, ignored=tuple(files[:number]))
        return None

    def clear(self) -> None:
        """Remove all checkpoints."""
        for path in self.files():
            path.unlink()

    def _require_same(self, path: Path, configuration: Mapping[str, Any]) -> None:
        own = self._configuration
        names = [name for name in {**configuration, **own} if configuration.get(name) != own.get(name)]
        if names:
            shown = ", ".join(
                f"{name} is {own.get(name)!r}, there {configuration.get(name)!r}" for name in names[:DIFFERENCES_SHOWN]
            )
            more = f", and {len(names) - DIFFERENCES_SHOWN} more" if len(names) > DIFFERENCES_SHOWN else ""
            raise CheckpointMismatchError(f"{path} is of another configuration: {shown}{more}")
