"""Random systems on random small cores with random memories, bit for bit; `make systems` runs many more.

`SSVQ_SEED` chooses other systems; a failure prints the command that runs its case again.
"""

from __future__ import annotations

import logging
import os

import pytest

from ssvq_gen.config import ECP5, PACKING_PORTS, CoreConfig, WeightFormat
from ssvq_sim.systems.batch import name_of, random_systems, run_systems
from ssvq_sim.systems.program_system import ProgramSystem, system_from_json
from ssvq_sim.systems.system_cases import SystemCase, configurations

SEED = int(os.environ.get("SSVQ_SEED", "1"))
CORES = 40
RUN = (1, 6, 10, 19)
"""Configurations that run here, by number."""
CASES, PROGRAMS = 8, 2
_LOG = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def cores() -> list[CoreConfig]:
    return configurations(CORES, random_seed=SEED)


@pytest.mark.slow
@pytest.mark.cosim
@pytest.mark.parametrize("number", RUN)
def test_systems(cores: list[CoreConfig], number: int) -> None:
    config = cores[number]
    _LOG.info("seed %d, core %d: %s", SEED, number, config)
    result = run_systems(config, random_systems(config, cases=CASES, programs=PROGRAMS, random_seed=SEED))
    _LOG.info("%s, %.1f s", name_of(config), result.seconds)
    assert result.systems == CASES + PROGRAMS
    for failure in result.failures:
        again = f"python -m ssvq_sim.systems --case '{failure.system}'"
        pytest.fail("\n".join([f"seed {SEED}, core {number}", *failure.problems, f"again: {again}"]))


def test_configurations_cover_every_choice(cores: list[CoreConfig]) -> None:
    """All sizes, buses, lanes and single formats are among them, and the extremes of what is chosen freely."""
    assert len({config.digest for config in cores}) == CORES
    for name in ("attention", "convolution", "vector"):
        assert {getattr(config, name) for config in cores} == {False, True}
    assert {config.rows for config in cores} == {4, 8, 16, 32}
    assert {config.cols for config in cores} == {8, 16, 32}
    assert {(config.target, config.rows) for config in cores if config.packed_macs} >= {
        (target, rows) for target in PACKING_PORTS for rows in (4, 8, 16)
    }
    assert {config.rows for config in cores if config.target == ECP5} >= {4, 8, 16}
    assert {config.axi_data_width for config in cores} == {32, 64, 128, 256, 512}
    assert {config.column_groups for config in cores} == {1, 2, 4}
    assert {config.vector_slots for config in cores if config.vector} >= {1, 2, 4}
    assert {config.depthwise_taps for config in cores} == set(range(6))
    assert {(f,) for f in WeightFormat} <= {config.formats for config in cores}
    codebooks = {config.max_codebook_size for config in cores}
    assert min(codebooks) == 2
    assert max(codebooks) == 4096


def test_systems_repeat(cores: list[CoreConfig]) -> None:
    """The same seed draws the same systems, another seed others, and a system survives its JSON."""
    config = next(core for core in cores if core.convolution)
    first, again, other = (random_systems(config, cases=5, programs=2, random_seed=n) for n in (SEED, SEED, SEED + 1))
    assert [system.to_json() for system in first] == [system.to_json() for system in again]
    assert [system.to_json() for system in first] != [system.to_json() for system in other]
    for system in first:
        assert system_from_json(system.to_json()).to_json() == system.to_json()
    assert {type(system) for system in first} == {SystemCase, ProgramSystem}
    assert any(isinstance(system, SystemCase) and system.convolutions for system in first + other)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"program_seed": 1}', '{"config": {}, "layers": []}'])
def test_other_text_is_no_system(text: str) -> None:
    with pytest.raises(ValueError, match="must be the JSON that a failure prints"):
        system_from_json(text)
