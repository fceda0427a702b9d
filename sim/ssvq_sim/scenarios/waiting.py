"""What the array waits for: layers whose limit is known, and counters that have to say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from ssvq.compile import compile_layer
from ssvq_gen.config import CoreConfig, WeightFormat

from ..behaviour import Behaviour, JobResult, SimulationJob
from ..systems.layers import random_input, random_layer
from ..systems.outcome import Beats, problems_of
from .scenario import JobScenario

_CHANNELS, _DENSE_CHANNELS = 128, 64
Counters = Mapping[str, int]
Check = Callable[[JobResult, Beats], list[str]]
Limit = Callable[[Counters], bool]


def waiting_scenarios(config: CoreConfig) -> Iterator[JobScenario]:
    """Layers of one token: the bus, the decoder, the array and again the bus are their limits."""
    weights, dense_weights = _CHANNELS * _CHANNELS, _DENSE_CHANNELS * _DENSE_CHANNELS
    layers: dict[str, tuple[WeightFormat, int, int, int, Limit]] = {
        "wait for dense weights": (
            *(WeightFormat.INT8, 256, 1, 1),
            lambda c: c["WAIT_DECODE_CYCLES"] == 0 and c["WAIT_WEIGHT_CYCLES"] > 0.9 * dense_weights,
        ),
        "wait for the decoder": (
            *(WeightFormat.VQ, 2, 2, 4),
            lambda c: c["WAIT_DECODE_CYCLES"] > max(c["WAIT_WEIGHT_CYCLES"], c["WAIT_ARRAY_CYCLES"], weights / 32),
        ),
        "wait for the array": (
            *(WeightFormat.VQ, 2, 8, 4),
            lambda c: c["WAIT_ARRAY_CYCLES"] > max(c["WAIT_WEIGHT_CYCLES"], c["WAIT_DECODE_CYCLES"]),
        ),
        "wait for signs": (
            *(WeightFormat.SSVQ, 4, 2, 4),
            lambda c: c["WAIT_DECODE_CYCLES"] == 0 and c["WAIT_WEIGHT_CYCLES"] > weights / 32,
        ),
    }
    for name, (weight_format, size, dim, rate, limit) in layers.items():
        rng = np.random.default_rng(len(name))
        channels = _DENSE_CHANNELS if weight_format is WeightFormat.INT8 else _CHANNELS
        layer = random_layer(
            rng,
            weight_format=weight_format,
            in_channels=channels,
            out_channels=channels,
            codebook_size=size,
            vector_dim=dim,
            name=name,
        )
        x = random_input(rng, 1, layer)
        job = SimulationJob(
            name=name,
            program=compile_layer(config, layer, 1),
            inputs={name: x},
            behaviour=Behaviour(bytes_per_cycle=rate),
            profile=True,
        )
        check = partial(problems_of, config, job.program, {name: layer.reference(x).output})
        yield JobScenario(job=job, check=partial(_with_limit, check, limit))


def _with_limit(
    check: Callable[[JobResult, Beats], list[str]], limit: Limit, result: JobResult, before: Beats
) -> list[str]:
    problems = check(result, before)
    if not problems and not limit(result.counters):
        problems.append(f"the array waits for something else: {dict(result.counters)}")
    return problems
