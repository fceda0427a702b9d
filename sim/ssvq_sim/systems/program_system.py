"""Random programs of all kinds of descriptors, as plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ssvq_gen.config import CoreConfig

from ..behaviour import Behaviour, SimulationJob
from .overlap_cases import ProgramCase
from .system_cases import TIMEOUT_CYCLES, WATCHDOG_CYCLES, SystemCase, Tensors

STEPS = 14


@dataclass(frozen=True, kw_only=True)
class ProgramSystem:
    """A program of `steps` random descriptors that depend on each other, on a core, and its memory's behaviour."""

    config: CoreConfig
    seed: int
    behaviour: Behaviour
    steps: int = STEPS

    def to_json(self) -> str:
        """One line that `from_json` reads."""
        data = {
            "config": self.config.to_dict(),
            "program_seed": self.seed,
            "steps": self.steps,
            "behaviour": asdict(self.behaviour),
        }
        return json.dumps(data, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ProgramSystem:
        """Inverse of `to_json`."""
        data: dict[str, Any] = json.loads(text)
        return cls(
            config=CoreConfig.from_dict(data["config"]),
            seed=data["program_seed"],
            steps=data["steps"],
            behaviour=Behaviour.from_dict(data["behaviour"]),
        )

    def build(self, name: str) -> tuple[SimulationJob, Tensors]:
        """The job, and the outputs that the functional model expects of it."""
        case = ProgramCase(self.config, np.random.default_rng(self.seed), steps=self.steps)
        job = SimulationJob(
            name=name,
            program=case.program,
            inputs=case.inputs,
            behaviour=self.behaviour,
            timeout_cycles=TIMEOUT_CYCLES,
            watchdog_cycles=WATCHDOG_CYCLES,
        )
        return job, case.expected()


System = SystemCase | ProgramSystem


def system_from_json(text: str) -> System:
    """Either kind. Raises ValueError for other text."""
    try:
        data: Mapping[str, Any] = json.loads(text)
        kind: type[System] = ProgramSystem if "program_seed" in data else SystemCase
        return kind.from_json(text)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"a case must be the JSON that a failure prints, not {text[:60]!r}: {error}") from error
