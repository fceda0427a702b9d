"""Records of runs come back from their files, and broken ones are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_records import record
from test_network_lowering import SSVQ, compiled, images, small_vit

from ssvq.network.errors import ReportError
from ssvq.network.program.emission import CompiledNetwork
from ssvq.network.report.run_record import RunRecord
from ssvq_gen.config import PRESETS


@pytest.fixture(scope="module")
def made() -> CompiledNetwork:
    return compiled(small_vit(), images(1), PRESETS["tiny"], SSVQ)


def test_records_come_back_from_their_files(made: CompiledNetwork, tmp_path: Path) -> None:
    for run in (record(made), record(made, 5), record(made, bit_exact=None, samples=20)):
        run.save(tmp_path / "run.json")
        found = RunRecord.load(tmp_path / "run.json")
        assert found.to_json() == run.to_json()
        assert found == run


def changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[str], str]:
    def apply(text: str) -> str:
        values = json.loads(text)
        change(values)
        return json.dumps(values)

    return apply


BROKEN: list[tuple[Callable[[str], str], str]] = [
    (lambda text: text[:-9], "it is not JSON"),
    (lambda text: "[]", "must be a record of kind 'ssvq-run', as `ssvq run --record` writes it"),
    (changed(lambda v: v.update(kind="x")), "must be a record of kind"),
    (changed(lambda v: v.update(version=2)), "its version must be 1, not 2"),
    (changed(lambda v: v.pop("parts")), "it is malformed: KeyError"),
    (changed(lambda v: v.update(more=1)), "it is malformed: TypeError"),
    (changed(lambda v: v["config"].update(rows=3)), "it is malformed: ConfigError"),
    (changed(lambda v: v.update(backend="fpga")), "backend must be one of reference, sim, device, not 'fpga'"),
    (changed(lambda v: v.update(backend="reference")), "must have counters, unless it is of the reference"),
    (changed(lambda v: v["parts"][0].update(counters={}, profile=None)), "must have counters, unless it is of the ref"),
    (changed(lambda v: v.update(bytes_per_cycle=5)), "bytes_per_cycle must be above 0 and at most 4, not 5"),
    (changed(lambda v: v["parts"][0]["counters"].update(TOTAL_CYCLES=1)), r"the profile has \d+ cycles, the counters"),
    (changed(lambda v: v["parts"][0]["profile"]["tail"].update(LOAD_CYCLES=1)), r"the profile adds up to \d+"),
    (changed(lambda v: v["parts"][0]["profile"]["rows"][0].update(opcode=99)), "it is malformed: ValueError"),
    (changed(lambda v: v["parts"][0]["profile"]["rows"][0].pop("begin")), "it is malformed: TypeError"),
    (
        changed(lambda v: v["parts"][0]["profile"]["tail"].pop("ARRAY_CYCLES")),
        "cycles must be by ARRAY_CYCLES, .*, not",
    ),
    (
        changed(lambda v: v["parts"][0]["profile"]["tail"].update(LOAD_CYCLES=10**400, ARRAY_CYCLES=0.5)),
        "it is malformed: OverflowError",
    ),
    (changed(lambda v: v.update(latency="abc")), "latency must be int, not 'abc'"),
    (changed(lambda v: v.update(network=[1])), r"network must be str, not \[1\]"),
    (changed(lambda v: v.update(metrics={"cosine": "high"})), "metrics must be .*, not"),
    (changed(lambda v: v["parts"][0]["counters"].update(more=0.5)), "counters must be .*, not"),
    (changed(lambda v: v["parts"][0]["profile"]["rows"][0].update(job=5)), r"job must be str \| None, not 5"),
]


@pytest.mark.parametrize(("change", "rule"), BROKEN)
def test_broken_records_are_refused(
    made: CompiledNetwork, tmp_path: Path, change: Callable[[str], str], rule: str
) -> None:
    path = tmp_path / "run.json"
    path.write_text(change(record(made).to_json()))
    with pytest.raises(ReportError, match=rule) as caught:
        RunRecord.load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_record_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReportError, match="it is not text"):
        RunRecord.load(path)
