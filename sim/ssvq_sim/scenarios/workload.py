"""All scenarios, the quick ones that most mutants fail first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from ssvq.compile import compile_layers
from ssvq_gen.config import CoreConfig

from ..behaviour import CHANNELS, MEMORY_BASE_DEFAULT, Behaviour, SimulationJob
from ..systems.error_cases import GROUPS, ErrorCase
from ..systems.error_outcome import problems_of_error
from ..systems.host_scenes import SCENES, clear_while_draining
from ..systems.layer_cases import RECORDS, LayerCase
from ..systems.outcome import problems_of
from ..systems.overlap_cases import Kind, ProgramCase
from ..systems.work import GOOD, LONG_LOAD, LONG_STORE, OTHER, Work
from .exact_cycles import exact_cycles
from .far_words import far_words
from .field_extremes import extreme_errors, extreme_jobs, extreme_works
from .fine_vectors import fine_vectors
from .first_job import first_job
from .held_jobs import held_jobs
from .image_edges import image_edges
from .late_errors import late_errors
from .long_loops import long_loops
from .modelled_job import TIMEOUT_CYCLES, WATCHDOG_CYCLES
from .odd_descriptors import odd_descriptors
from .order_scenes import order_scenarios
from .product_chains import product_chains
from .profile_rules import problems_with_profile
from .record_times import record_times
from .register_scenes import REGISTER_SCENES
from .scenario import HostScenario, JobScenario, PinScenario, Scenario
from .shape_errors import shape_errors
from .waiting import waiting_scenarios
from .weight_streams import weight_streams

_BASES = (MEMORY_BASE_DEFAULT, 0xA5A5_A000, 0x5A5A_5000, 0)
_STALLS = (0.0, 0.1, 0.4)
_ODD_COUNT = 4
_FINE_FORMATS = (("int8", 256, 1), ("ssvq", 16, 8), ("vq", 64, 4), ("ssvq", 4, 2))
_FINE_ROUNDS = 2
_ERROR_STRIDES = {"bus errors": 4, "descriptors": 3, "ranges": 2, "weights": 3, "stalls": 2}
"""Of the error cases of a group, every so many are enough for mutants."""


def workload(config: CoreConfig) -> list[Scenario]:
    """The scenarios, in their order."""
    scenes = [scene for scene in SCENES if scene is not clear_while_draining]
    return [
        *_works(config, {"good": GOOD, "other": OTHER}),
        *_programs(config, 1, count=2, steps=14),
        *(PinScenario(play=scene) for scene in (*REGISTER_SCENES, first_job)),
        *_fine_layers(config),
        *_programs(config, 2, count=4, steps=40),
        *_programs(config, 3, count=1, steps=30, only=Kind.WINDOWS),
        *_programs(config, 4, count=1, steps=30, only=Kind.VECTOR),
        *_programs(config, 5, count=1, steps=30, only=Kind.CONVOLUTION),
        *_programs(config, 6, count=1, steps=20, only=Kind.PRODUCT),
        *waiting_scenarios(config),
        *odd_descriptors(config, _ODD_COUNT),
        *order_scenarios(config),
        *held_jobs(config),
        *_works(config, dict(extreme_works(config))),
        *extreme_jobs(config),
        *far_words(config),
        *image_edges(config),
        *product_chains(config),
        *long_loops(config),
        *fine_vectors(config),
        *exact_cycles(config),
        *_errors(),
        *_works(config, {"long load": LONG_LOAD, "long store": LONG_STORE}),
        *(HostScenario(play=scene) for scene in scenes),
        *(_error(case) for case in (*extreme_errors(config), *late_errors(config), *shape_errors(config))),
        *record_times(config),
        *weight_streams(config),
    ]


def _works(config: CoreConfig, works: Mapping[str, Work]) -> Iterator[Scenario]:
    for number, (name, work) in enumerate(works.items()):
        job = work.job(
            name,
            behaviour=Behaviour(latency=3),
            memory_base=_BASES[number % len(_BASES)],
            timeout_cycles=TIMEOUT_CYCLES,
            watchdog_cycles=WATCHDOG_CYCLES,
            profile=True,
        )
        yield JobScenario(job=job, check=partial(problems_with_profile, config, work.program, work.expected))


def _programs(config: CoreConfig, seed: int, *, count: int, steps: int, only: Kind | None = None) -> Iterator[Scenario]:
    """Random programs; the first meets a memory that never pauses."""
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        case = ProgramCase(config, rng, steps=steps, only=only, scaled=True)
        job = SimulationJob(
            name=f"program {seed}.{number}",
            program=case.program,
            inputs=case.inputs,
            behaviour=_behaviour(rng) if number else Behaviour(),
            memory_base=_BASES[-1 - number % len(_BASES)],
            timeout_cycles=TIMEOUT_CYCLES,
            watchdog_cycles=WATCHDOG_CYCLES,
            profile=True,
        )
        yield JobScenario(job=job, check=partial(problems_with_profile, config, case.program, case.expected()))


def _fine_layers(config: CoreConfig) -> Iterator[Scenario]:
    """Layers of which half of the channels show their sums to the last bit, in every format."""
    for number, (weight_format, codebook_size, vector_dim) in enumerate(_FINE_FORMATS * _FINE_ROUNDS):
        case = LayerCase(
            weight_format=weight_format,
            codebook_size=codebook_size,
            vector_dim=vector_dim,
            in_channels=3 * config.rows,
            out_channels=2 * config.cols,
            tokens=12,
            activations="random",
            weights="random",
            parameters="tuned",
            records=RECORDS[number % len(RECORDS)],
            seed=number,
        )
        layer, x = case.build(f"fine{number}")
        program = compile_layers(config, [(layer, case.tokens)])
        job = SimulationJob(
            name=layer.name,
            program=program,
            inputs={layer.name: x},
            timeout_cycles=TIMEOUT_CYCLES,
            watchdog_cycles=WATCHDOG_CYCLES,
        )
        expected = {layer.name: layer.reference(x).output}
        yield JobScenario(job=job, check=partial(problems_of, config, program, expected))


def _behaviour(rng: np.random.Generator) -> Behaviour:
    stalls = {channel: float(rng.choice(_STALLS)) for channel in CHANNELS}
    return Behaviour(latency=int(rng.choice((0, 1, 30))), stalls=stalls, seed=int(rng.integers(1, 1 << 32)))


def _errors() -> Iterator[Scenario]:
    """Error cases, with DRAM windows at several addresses."""
    cases = [case for name, group in GROUPS.items() for case in group()[:: _ERROR_STRIDES[name]]]
    for number, case in enumerate(cases):
        yield _error(case.at_base(_BASES[number % len(_BASES)]))


def _error(case: ErrorCase) -> Scenario:
    job = replace(
        case.job,
        timeout_cycles=min(case.job.timeout_cycles, TIMEOUT_CYCLES),
        watchdog_cycles=min(case.job.watchdog_cycles, WATCHDOG_CYCLES),
    )
    return JobScenario(job=job, check=partial(problems_of_error, case))
