"""Records of runs that no core made."""

from __future__ import annotations

from typing import Any

from fake_profiles import counters_of, fake_profile

from ssvq.network.program.emission import CompiledNetwork
from ssvq.network.report.run_record import PartRun, RunRecord, program_digest
from ssvq.network.report.step_report import step_report
from ssvq_gen.config import PRESETS

CONFIG = PRESETS["tiny"]


def record(made: CompiledNetwork, depth: int | None = None, **changes: Any) -> RunRecord:
    """A run of a network with a profile that no core made."""
    profile = fake_profile(made.program, depth)
    part = PartRun(name="core 0", program=program_digest(made.program), counters=counters_of(profile), profile=profile)
    values = {
        "network": "vit",
        "backend": "sim",
        "config": CONFIG,
        "parts": (part,),
        "weight_formats": step_report(made, CONFIG, 1).whole.work.weight_formats,
        "bytes_per_cycle": 1,
        "latency": 100,
        "bit_exact": True,
        "metrics": {"cosine to float": 0.9987},
        "command": "ssvq run vit.ssvqnet --record vit.json",
    }
    return RunRecord(**values | changes)
