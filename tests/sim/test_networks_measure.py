"""A case of a network on the golden model and on the simulated core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_subject import small_subject

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_sim.behaviour import JobError, JobResult, SimulationJob
from ssvq_sim.networks.measure import measure
from ssvq_sim.networks.subject import Case
from ssvq_sim.runner import SimulationError, run_jobs

Said = list[tuple[str, int, int]]


def test_the_golden_model_has_a_row_for_each_metric() -> None:
    subject, said = small_subject(), Said()
    rows, times = measure(subject, subject.cases[0], lambda *what: said.append(what))
    assert [(row.metric, row.backend, row.cycles, row.bit_exact) for row in rows] == [
        ("cosine to float", "reference", None, None),
        ("top-1", "reference", None, None),
    ]
    assert rows[0].value > 0.99
    assert rows[0].float_value == pytest.approx(1)
    assert (rows[1].value, rows[1].float_value) == (1, 1)
    assert {row.samples for row in rows} == {2}
    assert rows[0].host_operators == ("reading",)
    assert rows[0].bytes_per_cycle == 4  # the largest that the bus has
    assert ("golden model", 2, 2) in said
    assert (times.network, times.config, times.weights) == ("small", "tiny", "int8")


def test_weighted_weights_are_named() -> None:
    subject = small_subject()
    rows, _ = measure(subject, subject.cases[1], lambda *what: None)
    assert {(row.weights, row.codebook_size, row.vector_dim) for row in rows} == {("ssvq k=4 d=8, weighted", 4, 8)}


def test_the_simulated_core_leaves_the_integers_of_the_golden_model() -> None:
    subject = small_subject(simulated=1)
    rows, _ = measure(subject, subject.cases[0], lambda *what: None)
    simulated = [row for row in rows if row.backend == "sim"]
    assert [(row.bytes_per_cycle, row.bit_exact, row.samples) for row in simulated] == [(2, True, 1), (4, True, 1)]
    for row in simulated:
        assert row.cycles == sum(row.cycles_of.values())
        assert row.cycles > row.roofline_cycles > 0
    assert all(row.bit_exact for row in rows)


def changed(results: list[JobResult], **fields: Any) -> list[JobResult]:
    return [*results[:-1], replace(results[-1], **fields)]


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is changed in the last result of the simulation."""
    fields: dict[str, Any] = {}

    def run(config: CoreConfig, jobs: Sequence[SimulationJob], **settings: Any) -> list[JobResult]:
        results = run_jobs(config, jobs, **settings)
        if "outputs" in fields:
            found = {name: values + np.int8(1) for name, values in results[-1].outputs.items()}
            return changed(results, outputs=found)
        return changed(results, **fields)

    monkeypatch.setattr("ssvq_sim.networks.measure.run_jobs", run)
    return fields


def test_a_wrong_output_is_not_exact(outputs: dict[str, Any]) -> None:
    outputs["outputs"] = True
    subject = small_subject(simulated=1)
    rows, _ = measure(subject, subject.cases[0], lambda *what: None)
    assert [row.bit_exact for row in rows if row.backend == "sim"] == [True, False]
    assert [row.bit_exact for row in rows if row.backend == "reference"] == [False, False]


def test_a_job_that_fails_is_an_error(outputs: dict[str, Any]) -> None:
    outputs["error"] = JobError(type="JobFailed", message="no luck")
    subject = small_subject(simulated=1)
    with pytest.raises(SimulationError, match="small in int8: .*no luck"):
        measure(subject, subject.cases[0], lambda *what: None)


def case_on(other: CoreConfig) -> Case:
    return replace(small_subject(simulated=1).cases[0], rates=(4,), same_as=other)


def test_integers_are_compared_with_those_for_another_core(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = small_subject(simulated=1)
    rows, _ = measure(subject, case_on(PRESETS["edge"]), lambda *what: None)
    assert all(row.bit_exact for row in rows)
    monkeypatch.setattr("ssvq_sim.networks.measure._same", lambda first, second: False)
    rows, _ = measure(subject, case_on(PRESETS["edge"]), lambda *what: None)
    assert not any(row.bit_exact for row in rows)
