"""The folder through which jobs and results pass between the caller and the simulator's process.

run.json            settings of all jobs         0.program, 0.0.npy   program and inputs of job 0
0.result.json       result of job 0              0.output.0.npy       its outputs
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ssvq.program_file import load_program, save_program
from ssvq_gen.config import CoreConfig

from .behaviour import Behaviour, JobError, JobResult, SimulationJob

RUN_FILE = "run.json"


def write_jobs(folder: Path, config: CoreConfig, jobs: Sequence[SimulationJob]) -> None:
    """Write jobs into an empty folder."""
    entries = []
    for index, job in enumerate(jobs):
        save_program(job.program, folder / f"{index}.program")
        for number, array in enumerate(job.inputs.values()):
            np.save(folder / f"{index}.{number}.npy", array, allow_pickle=False)
        entries.append({**job.settings(), "inputs": list(job.inputs)})
    write_json(folder / RUN_FILE, {"config": config.to_dict(), "jobs": entries})


def read_jobs(folder: Path) -> tuple[CoreConfig, list[SimulationJob]]:
    """Inverse of `write_jobs`."""
    data = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    jobs = []
    for index, entry in enumerate(data["jobs"]):
        names = entry.pop("inputs")
        behaviour = Behaviour.from_dict(entry.pop("behaviour"))
        inputs = {n: np.load(folder / f"{index}.{i}.npy", allow_pickle=False) for i, n in enumerate(names)}
        program = load_program(folder / f"{index}.program")
        jobs.append(SimulationJob(**entry, program=program, inputs=inputs, behaviour=behaviour))
    return CoreConfig.from_dict(data["config"]), jobs


def write_result(folder: Path, index: int, result: JobResult) -> None:
    """Write a job's result; its JSON appears last, so that whoever sees it can read everything."""
    for number, array in enumerate(result.outputs.values()):
        np.save(folder / f"{index}.output.{number}.npy", array, allow_pickle=False)
    data = {**_plain(result), "outputs": list(result.outputs)}
    write_json(folder / f"{index}.result.json", data)


def _plain(result: JobResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "counters": dict(result.counters),
        "cycles": result.cycles,
        "wall_seconds": result.wall_seconds,
        "read_beats": result.read_beats,
        "write_beats": result.write_beats,
        "stray": result.stray,
        "error": None if result.error is None else asdict(result.error),
    }


def read_result(folder: Path, index: int) -> JobResult | None:
    """Inverse of `write_result`; None when the job is not finished."""
    path = folder / f"{index}.result.json"
    if not path.exists():
        return None
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    names, error = data.pop("outputs"), data.pop("error")
    outputs = {n: np.load(folder / f"{index}.output.{i}.npy", allow_pickle=False) for i, n in enumerate(names)}
    return JobResult(**data, outputs=outputs, error=JobError(**error) if error else None)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON so that a reader sees the whole file or none."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(data, indent=1), encoding="utf-8")
    temporary.replace(path)
