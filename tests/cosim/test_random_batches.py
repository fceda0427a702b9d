"""Random layers on random small cores with random memories, bit for bit.

`SSVQ_SEED` chooses other systems; a failure prints the command that runs its case again. One simulator process runs
all cases of a configuration, one after the other without a reset.
"""

from __future__ import annotations

import logging
import os

import pytest
from system_cases import SystemCase, configurations, draw, system_cases

from ssvq_gen.config import ECP5, PACKING_PORTS, CoreConfig, WeightFormat
from ssvq_sim.behaviour import JobResult
from ssvq_sim.runner import SimulationError, run_jobs
from ssvq_sim.simulator import build_simulator
from ssvq_sim.systems.outcome import beats_after, problems_of

SEED = int(os.environ.get("SSVQ_SEED", "1"))
CASE_VARIABLE = "SSVQ_CASE"
CONFIGURATIONS = 15
CASES = 15
"""In each configuration."""
WALL_SECONDS = 300.0
_LOG = logging.getLogger(__name__)
_COMMAND = "-m pytest tests/cosim/test_random_batches.py -k"


def batches() -> list[CoreConfig | SystemCase]:
    """The configurations to run, or the one case to run again."""
    if text := os.environ.get(CASE_VARIABLE):
        return [SystemCase.from_json(text)]
    return list(configurations(CONFIGURATIONS, random_seed=SEED))


def name_of(batch: CoreConfig | SystemCase) -> str:
    config = batch if isinstance(batch, CoreConfig) else batch.config
    return f"{config.name}-{config.rows}x{config.cols}-{config.axi_data_width}"


def how_to_repeat(case: SystemCase) -> str:
    return (
        f"this case alone: {CASE_VARIABLE}='{case.to_json()}' .venv/bin/python {_COMMAND} test_cases\n"
        f"with all before it: SSVQ_SEED={SEED} .venv/bin/python {_COMMAND} 'test_cases and {case.config.name}-'"
    )


@pytest.mark.slow
@pytest.mark.cosim
@pytest.mark.parametrize("batch", batches(), ids=name_of)
def test_cases(batch: CoreConfig | SystemCase) -> None:
    if isinstance(batch, CoreConfig):
        config, cases = batch, draw(system_cases(batch), CASES, random_seed=SEED + batch.digest)
    else:
        config, cases = batch.config, [batch]
    _LOG.info("seed %d, %d cases on %s", SEED, len(cases), config)
    built = [case.build(f"case{index}") for index, case in enumerate(cases)]
    results: list[JobResult] = []
    simulator = build_simulator(config)
    _LOG.info("Verilog %.1f s, C++ %.1f s", simulator.verilog_seconds, simulator.build_seconds)
    try:
        run_jobs(
            config,
            [job for job, _ in built],
            simulator=simulator,
            wall_seconds=WALL_SECONDS,
            on_result=lambda _, result: results.append(result),
        )
    except SimulationError as error:
        error.add_note(how_to_repeat(cases[len(results)]))
        raise
    before = (0, 0)
    for index, (case, (job, expected), result) in enumerate(zip(cases, built, results, strict=True)):
        problems = problems_of(config, job.program, expected, result, before)
        assert not problems, "\n".join([f"seed {SEED}, case {index}", *problems, how_to_repeat(case)])
        before = beats_after(result)


def test_configurations_cover_every_choice() -> None:
    """At least 12 configurations and 200 cases, with all sizes, buses, lanes and single formats among them."""
    configs = configurations(CONFIGURATIONS, random_seed=SEED)
    assert len({config.digest for config in configs}) == CONFIGURATIONS >= 12
    assert CONFIGURATIONS * CASES >= 200
    for name in ("attention", "convolution"):
        assert {getattr(config, name) for config in configs} == {False, True}
    assert {config.rows for config in configs} == {4, 8, 16}
    assert {config.cols for config in configs} == {8, 16, 32}
    assert {(config.target, config.rows) for config in configs if config.packed_macs} == {
        (target, rows) for target in PACKING_PORTS for rows in (4, 8, 16)
    }
    assert {config.rows for config in configs if config.target == ECP5} == {4, 8, 16}
    assert {config.axi_data_width for config in configs} == {32, 64, 128, 256, 512}
    assert {config.column_groups for config in configs} == {1, 2, 4}
    assert {(f,) for f in WeightFormat} <= {config.formats for config in configs}
    codebooks = {config.max_codebook_size for config in configs}
    assert min(codebooks) == 2
    assert max(codebooks) == 4096


def test_cases_repeat() -> None:
    """The same seed draws the same cases, another seed others, and a case survives its JSON."""
    config = configurations(CONFIGURATIONS, random_seed=SEED)[0]
    assert config.convolution
    first, again, other = (draw(system_cases(config), 5, random_seed=n) for n in (SEED, SEED, SEED + 1))
    assert [c.to_json() for c in first] == [c.to_json() for c in again]
    assert [c.to_json() for c in first] != [c.to_json() for c in other]
    for case in first:
        assert SystemCase.from_json(case.to_json()).to_json() == case.to_json()
    assert any(case.convolutions for case in first + other)
