"""What training writes down as it goes: `metrics.csv`, and the same for TensorBoard."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssvq.files import write_atomically

CSV_NAME, TENSORBOARD_NAME = "metrics.csv", "tensorboard"
STEP = "step"


class TrainingLog:
    """Rows of numbers by step. What an earlier run wrote up to the given step stays, what it wrote later goes.

    Args:
        folder: exists.
        columns: names of all numbers, without the step.
        step: from which training goes on; 0 begins anew.
        tensorboard: also write for TensorBoard, where it is installed.

    Members:
        has_tensorboard: whether that is so.
    """

    def __init__(self, folder: Path, columns: Sequence[str], *, step: int, tensorboard: bool) -> None:
        self._columns = (STEP, *columns)
        path = folder / CSV_NAME
        write_atomically(path, _text([self._columns, *self._rows_until(path, step)]).encode())
        self._file = path.open("a", encoding="utf-8", newline="")
        self._writer = _tensorboard(folder / TENSORBOARD_NAME, step) if tensorboard else None

    @property
    def has_tensorboard(self) -> bool:
        """Whether numbers go to TensorBoard."""
        return self._writer is not None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add a row; columns without a value stay empty.

        Raises:
            ValueError: a value has no column.
        """
        unknown = values.keys() - set(self._columns)
        if unknown:
            raise ValueError(f"values must have columns, not {sorted(unknown)}")
        self._file.write(_text([[step, *(values.get(name, "") for name in self._columns[1:])]]))
        self._file.flush()
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)
            self._writer.flush()

    def close(self) -> None:
        """Nothing is written after this."""
        self._file.close()
        if self._writer is not None:
            self._writer.close()

    def _rows_until(self, path: Path, step: int) -> list[list[str]]:
        """Whole rows of an earlier run, as far as they still hold."""
        if step == 0 or not path.is_file():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        if not rows or tuple(rows[0]) != self._columns:
            return []
        whole = [row for row in rows[1:] if len(row) == len(self._columns) and row[0].isdecimal()]
        return [row for row in whole if int(row[0]) <= step]


def _text(rows: Sequence[Sequence[object]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def _tensorboard(folder: Path, step: int) -> Any:
    """A writer, or None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError:
        return None
    if step == 0 and folder.is_dir():
        shutil.rmtree(folder)
    return SummaryWriter(str(folder), purge_step=step + 1)
