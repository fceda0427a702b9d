"""Going through the runs of a sweep, whichever are not done yet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from ssvq.accuracy.execute import InterruptedRunError, discard, execute, keep_weights
from ssvq.accuracy.store import Store
from ssvq.accuracy.study import Row, Run
from ssvq.accuracy.workers import claimed
from ssvq.train.interrupt import Interrupt
from ssvq.train.processes import Processes

RUN_SECONDS_MAX = 25 * 60
"""No run should take longer on two cores; the sweep says so of one that does."""
WAIT_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep in a folder.

    Attributes:
        work: holds finished runs, weights of float models, and the files of runs that are not finished.
        console: for a line on every run.
        minutes: after which no run is begun; None for no limit.
    """

    work: Path
    console: Console
    minutes: float | None = None

    @property
    def store(self) -> Store:
        """Finished runs."""
        return Store(self.work / "runs")

    def go(self, chosen: Sequence[tuple[Row, Run]]) -> bool:
        """Carry out runs until all are done, beside other processes that do the same.

        Returns:
            False when a signal has stopped it, True otherwise.

        Raises:
            StoreError: a finished run's file is malformed.
            ValueError, RuntimeError, OSError: as `ssvq.accuracy.execute.execute`.
        """
        begin = time.perf_counter()
        processes = Processes.start()
        with Interrupt() as interrupt:
            while missing := [(row, run) for row, run in chosen if self.store.get(run.digest()) is None]:
                progress = False
                for row, run in missing:
                    if self.minutes is not None and time.perf_counter() - begin > 60 * self.minutes:
                        self.console.print(f"{self.minutes:g} minutes are over; call again to go on")
                        return True
                    try:
                        progress |= self._try(row, run, processes, interrupt)
                    except InterruptedRunError:
                        self.console.print("stopped; call again to go on")
                        return False
                if not progress:
                    time.sleep(WAIT_SECONDS)  # others have what is left
        return True

    def _try(self, row: Row, run: Run, processes: Processes, interrupt: Interrupt) -> bool:
        """Carry out a run and what it starts from; False when another process has it, or had it before."""
        start = run.checkpoint
        if start is not None and not self._is_done(start) and not self._try(row, start, processes, interrupt):
            return False
        with claimed(self.work / "locks", run.digest()) as mine:
            if not mine or self._is_done(run):
                return False
            self._carry_out(row, run, processes, interrupt)
            return True

    def _is_done(self, run: Run) -> bool:
        return self.store.get(run.digest()) is not None and (not _leaves_weights(run) or self._weights(run).exists())

    def _carry_out(self, row: Row, run: Run, processes: Processes, interrupt: Interrupt) -> None:
        name = row.name if run in row.runs else f"float model for {row.name}"
        self.console.print(f"begin  {name}, seed {run.table['training']['seed']}")
        folder = self.work / "training" / run.digest()
        outcome = execute(
            run,
            work=folder,
            checkpoint=None if run.checkpoint is None else self._weights(run.checkpoint),
            processes=processes,
            console=Console(stderr=True, quiet=not self.console.is_terminal),
            interrupt=interrupt,
        )
        if _leaves_weights(run):
            keep_weights(folder, self._weights(run))
        self.store.put(outcome)
        discard(folder)
        metrics = ", ".join(f"{metric} {value:.4f}" for metric, value in outcome.metrics.items())
        cost = f"{outcome.bits_per_weight:.3f} bits, {metrics} ({outcome.seconds:.0f} s of one core)"
        self.console.print(f"done   {name}: {cost}")
        if outcome.seconds > RUN_SECONDS_MAX:
            limit = RUN_SECONDS_MAX // 60
            self.console.print(f"       that is longer than the {limit} minutes that a run should take", style="yellow")

    def _weights(self, run: Run) -> Path:
        """Where the weights of a float run are kept."""
        return self.work / "checkpoints" / f"{run.digest()}.safetensors"


def _leaves_weights(run: Run) -> bool:
    """Whether other runs start from this one: a float model that is trained here."""
    return not run.table.get("rules") and run.table["training"].get("steps") != 0
