"""What a training run shows on a terminal: progress bars, metrics and notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from ssvq.train.trainer import LOSS, StepReport


class Display:
    """Shows a run on a console; of several processes, only the first one's console is not quiet.

    Args:
        console: where to.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def note(self, text: str) -> None:
        """A line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def bar(self, total_steps: int, *, done: int) -> Iterator[None]:
        """While active, `step` moves a progress bar, where the console is a terminal."""
        columns = (TextColumn("train"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"))
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        progress = Progress(*columns, *times, console=self.console, disable=not self.console.is_terminal)
        with progress:
            self._progress = progress
            self._task = progress.add_task("train", total=total_steps, completed=done, loss="")
            try:
                yield
            finally:
                self._progress = None

    def step(self, step: int, report: StepReport) -> None:
        """After every step."""
        if self._progress is not None:
            self._progress.update(self._task, completed=step, loss=f"loss {report.losses[LOSS]:.4f}")

    @contextmanager
    def doing(self, text: str) -> Iterator[None]:
        """While active, say what is being done, where the console is a terminal."""
        if self._progress is None:
            with self.console.status(text):
                yield
        else:
            self._progress.update(self._task, loss=text)
            yield

    def metrics(self, title: str, metrics: Mapping[str, float]) -> None:
        """A line of metrics."""
        self.note(f"{title}: " + ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()))

    def results(self, rows: Mapping[str, Mapping[str, float]], bits_per_weight: float | None) -> None:
        """A table with a row for each state of the model."""
        names = list(dict.fromkeys(name for metrics in rows.values() for name in metrics))
        title = "" if bits_per_weight is None else f"{bits_per_weight:.3f} bits per weight"
        table = Table(title=title or None, title_justify="left")
        table.add_column("model")
        for name in names:
            table.add_column(name, justify="right")
        for label, metrics in rows.items():
            table.add_row(label, *(f"{metrics[name]:.4f}" if name in metrics else "" for name in names))
        self.console.print(table)
