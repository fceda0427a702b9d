"""A sweep of random systems over random cores: several processes, and results that outlive an interruption."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssvq_gen.config import CoreConfig
from ssvq_gen.lint import lint_core
from ssvq_gen.toolbox import ToolError

from ..core_verilog import core_verilog
from ..job_files import write_json
from ..simulator import BuildError
from ..sources import result_key
from .batch import BatchResult, name_of, random_systems, run_systems
from .system_cases import configurations


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a sweep runs.

    Attributes:
        cores: random configurations.
        cases: layers and convolutions on each.
        programs: of all kinds of descriptors on each.
        seed: from which everything follows.
        output: folder of results.
        jobs: processes side by side.
    """

    cores: int = 40
    cases: int = 12
    programs: int = 3
    seed: int = 1
    output: Path = Path("build/systems")
    jobs: int = 2

    def __post_init__(self) -> None:
        for name, least in (("cores", 1), ("cases", 1), ("programs", 0), ("jobs", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be {least} or more, not {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Report:
    """Results of all batches of a sweep."""

    batches: list[BatchResult]

    @property
    def systems(self) -> int:
        """Systems that ran."""
        return sum(batch.systems for batch in self.batches)

    @property
    def failures(self) -> int:
        """Systems that were wrong, and cores whose Verilog a linter refuses."""
        return sum(len(batch.failures) + bool(batch.lint) for batch in self.batches)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "systems": self.systems,
            "cores": len(self.batches),
            "failures": self.failures,
            "batches": [batch.to_dict() for batch in self.batches],
        }


def sweep(settings: Settings) -> Iterator[tuple[BatchResult, bool]]:
    """Run all batches; yields each as it is finished, and whether its result was there from before.

    Those that are right are kept in `output` under a hash of all sources, the tools, the core and the settings.

    Raises:
        BrokenExecutor: a process of the sweep died.
    """
    todo: list[tuple[CoreConfig, Path]] = []
    for config in configurations(settings.cores, random_seed=settings.seed):
        path = _result_path(settings, config)
        if path.is_file():
            yield BatchResult.from_dict(json.loads(path.read_text(encoding="utf-8"))), True
        else:
            todo.append((config, path))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(settings.jobs, mp_context=context) as pool:
        futures: list[Future[BatchResult]] = [pool.submit(_run, settings, config, path) for config, path in todo]
        try:
            for future in as_completed(futures):
                yield future.result(), False
        finally:
            pool.shutdown(cancel_futures=True)


def _result_path(settings: Settings, config: CoreConfig) -> Path:
    plan = [settings.seed, settings.cases, settings.programs, config.to_dict()]
    key = result_key(__name__, {"plan": json.dumps(plan, sort_keys=True)})
    return settings.output / f"{name_of(config)}-{key}.json"


def _run(settings: Settings, config: CoreConfig, path: Path) -> BatchResult:
    systems = random_systems(config, cases=settings.cases, programs=settings.programs, random_seed=settings.seed)
    try:
        result = run_systems(config, systems, lint=_lint)
    except (BuildError, ToolError) as error:
        return BatchResult(core=name_of(config), systems=0, failures=[], lint=[str(error)], seconds=0.0)
    if not result.failures and not result.lint:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, result.to_dict())
    return result


def _lint(config: CoreConfig) -> list[str]:
    verilog = core_verilog(config)
    return lint_core(config, verilog.path, [path.name for path in verilog.models])[1]
