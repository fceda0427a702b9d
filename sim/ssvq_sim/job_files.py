"""The folder through which jobs and results pass between the caller and the simulator's process.

config.json     configuration of the core
0.job.json      settings of job 0           0.program, 0.input.0.npy   its program and inputs
0.result.json   result of job 0             0.output.0.npy             its outputs
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ssvq.driver import Profile
from ssvq.program_file import load_program, save_program
from ssvq_gen.config import CoreConfig

from .behaviour import Behaviour, BusTimes, JobError, JobResult, SimulationJob

_CONFIG_FILE = "config.json"


def write_config(folder: Path, config: CoreConfig) -> None:
    """Say which core the simulator holds."""
    write_json(folder / _CONFIG_FILE, config.to_dict())


def read_config(folder: Path) -> CoreConfig:
    """Inverse of `write_config`."""
    return CoreConfig.from_dict(json.loads((folder / _CONFIG_FILE).read_text(encoding="utf-8")))


def write_job(folder: Path, index: int, job: SimulationJob) -> None:
    """Write a job."""
    save_program(job.program, folder / f"{index}.program")
    for number, array in enumerate(job.inputs.values()):
        np.save(folder / f"{index}.input.{number}.npy", array, allow_pickle=False)
    write_json(folder / f"{index}.job.json", {**job.settings(), "inputs": list(job.inputs)})


def read_job(folder: Path, index: int) -> SimulationJob:
    """Inverse of `write_job`."""
    data = json.loads((folder / f"{index}.job.json").read_text(encoding="utf-8"))
    names, behaviour = data.pop("inputs"), Behaviour.from_dict(data.pop("behaviour"))
    inputs = {n: np.load(folder / f"{index}.input.{i}.npy", allow_pickle=False) for i, n in enumerate(names)}
    program = load_program(folder / f"{index}.program")
    return SimulationJob(**data, program=program, inputs=inputs, behaviour=behaviour)


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
        "profile": None if result.profile is None else result.profile.to_dict(),
        "times": None if result.times is None else asdict(result.times),
    }


def read_result(folder: Path, index: int) -> JobResult | None:
    """Inverse of `write_result`; None when the job is not finished."""
    path = folder / f"{index}.result.json"
    if not path.exists():
        return None
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    names, error, profile, times = (data.pop(name, None) for name in ("outputs", "error", "profile", "times"))
    outputs = {n: np.load(folder / f"{index}.output.{i}.npy", allow_pickle=False) for i, n in enumerate(names)}
    return JobResult(
        **data,
        outputs=outputs,
        error=JobError(**error) if error else None,
        profile=Profile.from_dict(profile) if profile else None,
        times=BusTimes(**times) if times else None,
    )


def write_json(path: Path, data: Mapping[str, Any] | list[Any]) -> None:
    """Write JSON so that a reader sees the whole file or none."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(data, indent=1), encoding="utf-8")
    temporary.replace(path)
