"""From a run of a compiled model to its record."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ssvq.network.files.network_file import CompiledModel
from ssvq.network.files.tree_codec import Array
from ssvq.network.hosting.backend import BusSettings, ProgramBackend
from ssvq.network.report.accuracy_line import cosine
from ssvq.network.report.run_record import PartRun, RunRecord, program_digest
from ssvq.network.report.step_work import steps_work
from ssvq_gen.config import CoreConfig


def record_of(
    model: CompiledModel,
    programs: ProgramBackend | None,
    config: CoreConfig,
    bus: BusSettings,
    *,
    backend: str,
    metrics: Mapping[str, float],
    command: str = "",
) -> RunRecord:
    """The record of a run.

    Args:
        model: what ran.
        programs: what its programs left; None for the reference.
        config: of the core that ran it, which may record more than the model's.
        bus: of the simulation; otherwise what rooflines are for.
        backend: where the programs ran, one of `BACKENDS`.
        metrics: accuracy by name.
        command: that made it.
    """
    parts = []
    for part in model.network.core_parts:
        run = programs.runs[part.name] if programs else None
        parts.append(
            PartRun(
                name=part.name,
                program=program_digest(part.compiled.program),
                counters=run.counters if run else {},
                profile=run.profile if run else None,
            )
        )
    rate = bus.bytes_per_cycle or config.beat_bytes
    work = [own for part in model.network.core_parts for own in steps_work(part.compiled, model.config, rate)]
    return RunRecord(
        network=model.name,
        backend=backend,
        config=config,
        parts=tuple(parts),
        weight_formats=tuple(sorted({name for own in work for name in own.weight_formats})),
        bytes_per_cycle=rate,
        latency=bus.latency,
        bit_exact=all(programs.exact.values()) if programs else None,
        metrics=metrics,
        command=command,
    )


def accuracy(values: Mapping[str, Array], expected: Mapping[str, Array]) -> dict[str, float]:
    """Cosine of each output to the float model's, and of scores whether the largest is the same one."""
    found: dict[str, float] = {}
    for name, wanted in expected.items():
        of = f" of {name}" if len(expected) > 1 else ""
        found[f"cosine to float{of}"] = cosine(values[name], wanted)
        if wanted.ndim == 2 and wanted.shape[0] == 1 and wanted.dtype.kind == "f":
            found[f"top-1 as float{of}"] = float(np.argmax(values[name]) == np.argmax(wanted))
    return found
