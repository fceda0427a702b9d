"""Running measurements on simulated cores, several at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from ssvq.driver import Profile

from ..behaviour import JobResult
from ..job_bench import GUARD_BYTES
from ..runner import Session
from ..simulator import Simulator
from .measurement import Measurement
from .points import Point


class BenchError(RuntimeError):
    """A job ended with an error; the message names it."""


class Runner:
    """Runs measurements, the longest first, in `workers` simulator processes for each core.

    simulators : by name of the configuration
    on_step : called after each step with the cycles it was expected to take
    on_profile : called with each profile that was asked for
    """

    def __init__(
        self,
        simulators: Mapping[str, Simulator],
        *,
        workers: int = 1,
        on_step: Callable[[float], None] = lambda cycles: None,
        on_profile: Callable[[Measurement, Profile], None] = lambda measurement, profile: None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, not {workers}")
        self._simulators = simulators
        self._workers = workers
        self._on_step = on_step
        self._on_profile = on_profile

    def run(self, measurements: Sequence[Measurement]) -> list[Point]:
        """Points in the order of the measurements. Raises BenchError, SimulationError."""
        order = sorted(range(len(measurements)), key=lambda i: -measurements[i].expected_cycles)
        points: dict[int, Point] = {}
        lock = threading.Lock()
        stop = threading.Event()

        def take() -> int | None:
            with lock:
                return order.pop(0) if order and not stop.is_set() else None

        def work() -> None:
            try:
                with ExitStack() as stack:
                    sessions: dict[str, Session] = {}
                    while (index := take()) is not None:
                        measurement = measurements[index]
                        name = measurement.config.name
                        if name not in sessions:
                            sessions[name] = stack.enter_context(self._session(name, measurements))
                        points[index] = measurement.point(self._steps(sessions[name], measurement))
            except BaseException:
                stop.set()
                raise

        with ThreadPoolExecutor(self._workers) as executor:
            for future in [executor.submit(work) for _ in range(self._workers)]:
                future.result()
        return [points[index] for index in range(len(measurements))]

    def _session(self, name: str, measurements: Sequence[Measurement]) -> Session:
        needed = max(m.memory_bytes for m in measurements if m.config.name == name)
        pages = -(-needed // GUARD_BYTES) + 1
        return Session(self._simulators[name], memory_bytes=pages * GUARD_BYTES)

    def _steps(self, session: Session, measurement: Measurement) -> list[JobResult]:
        results = []
        measured = sum(step.measured for step in measurement.steps)
        for step, job in zip(measurement.steps, measurement.jobs(), strict=True):
            result = session.run(job)
            if result.error:
                raise BenchError(f"{job.name}: {result.error.type}: {result.error.message}")
            results.append(result)
            if step.measured:
                self._on_step(measurement.expected_cycles / measured)
        if last := [result.profile for result in results if result.profile]:
            self._on_profile(measurement, last[-1])
        return results
