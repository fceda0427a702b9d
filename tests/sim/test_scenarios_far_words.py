"""Scenarios of words outside the memory: the model agrees that each is an error, and a wrong address is a problem."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from ssvq_gen.config import PRESETS
from ssvq_gen.format import DESCRIPTOR_BYTES, ErrorCode, unpack_descriptor
from ssvq_sim.scenarios import odd_descriptors
from ssvq_sim.scenarios.far_words import far_words
from ssvq_sim.scenarios.odd_descriptors import OddCase, OddDescriptors
from ssvq_sim.scenarios.scenario import SimulatedCore
from ssvq_sim.systems.core_model import CoreFault, CoreModel

CONFIG = PRESETS["tiny"]
SCENARIOS = list(far_words(CONFIG))
CORE = cast(SimulatedCore, SimpleNamespace(dut=None, memory=np.zeros(SCENARIOS[0].memory.size, dtype=np.uint8)))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_only_what_is_changed_leads_out_of_the_memory(scenario: OddDescriptors) -> None:
    for case in scenario.cases:
        memory = scenario.memory.copy()
        _run(memory, case)
        memory[case.offset : case.offset + DESCRIPTOR_BYTES] = np.frombuffer(case.data, dtype=np.uint8)
        with pytest.raises(CoreFault) as fault:
            _run(memory, case)
        assert fault.value.code == case.code == ErrorCode.ACTIVATION_RANGE, case.field
        assert case.address is not None
        assert case.address >= CONFIG.activation_depth, case.field


def _run(memory: npt.NDArray[np.uint8], case: OddCase) -> None:
    model = CoreModel(CONFIG)
    model.words[:] = 0  # so that it finds a table that compilers take
    model.run(memory, case.offset, 1)


def test_every_bit_of_a_field_with_a_place_is_seen_as_both() -> None:
    for scenario in SCENARIOS:
        for name in ("source", "destination"):
            values = {unpack_descriptor(case.data)[name] for case in scenario.cases}
            assert np.bitwise_or.reduce(list(values)) == 0xFFFF_FFFF, (scenario.name, name)
            assert np.bitwise_and.reduce(list(values)) == 0, (scenario.name, name)


@pytest.mark.parametrize("added", [0, 1])
def test_an_error_at_another_address_is_a_problem(monkeypatch: pytest.MonkeyPatch, added: int) -> None:
    class Host:
        """One that only has a memory."""

        def __init__(self, dut: Any, memory: Any) -> None:
            self.memory = memory
            self.device = SimpleNamespace(write=lambda name, value: None)

        def behave(self, behaviour: Any) -> None:
            """Nothing."""

    monkeypatch.setattr(odd_descriptors, "Host", Host)
    monkeypatch.setattr(OddDescriptors, "_judge", lambda self, host, case: (case.code, case.address + added))
    problems = SCENARIOS[0]._play(CORE)
    assert problems == ["MATMUL with another source (2048): the error is at 0x801, not 0x800"] * added
