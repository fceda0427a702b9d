"""Proofs of the life of a job hold, and each fails when what it is about is broken."""

from pathlib import Path

import pytest
from planted import broken

from ssvq_rtl.dispatcher import Dispatcher
from ssvq_rtl.executor import Executor
from ssvq_rtl.job_control import JobControl
from ssvq_sim.formal import jobs
from ssvq_sim.formal.engines import prove
from ssvq_sim.formal.jobs import job_proofs

PROOFS = {proof.name: proof for proof in job_proofs()}


@pytest.mark.parametrize("name", PROOFS)
def test_holds(name: str, tmp_path: Path) -> None:
    verdict = prove(PROOFS[name], tmp_path)
    assert verdict.holds, verdict.log


WAITS = "m.d.comb += layer_queue.w_en.eq(1)\n                with m.If(layer_queue.w_rdy"
ENDS = "with m.Elif((self.finished | settling) & self.quiet):"


@pytest.mark.parametrize(
    ("name", "component", "right", "wrong"),
    [
        ("job_control", JobControl, "self.clear & ~self.busy & ~self.draining", "self.clear & self.done"),
        ("job_control", JobControl, "with m.If(self.bus_idle):", "with m.If(self.bus_idle | self.clear):"),
        ("job_control", JobControl, "(table_end > self.memory_size)", "(table_end > self.memory_size + 1)"),
        ("job_control", JobControl, ENDS, ENDS.replace("(self.finished | settling)", "self.finished")),
        ("job_control", JobControl, "failure.descriptor.eq(self.index)", "failure.descriptor.eq(self.index + 1)"),
        ("job_control", JobControl, "abort_waits.eq(aborts)", "abort_waits.eq(self.abort)"),
        ("job_control", JobControl, "(table_end > self.memory_size)", "(table_end >= self.memory_size)"),
        ("job_dispatcher", Dispatcher, WAITS, f"{WAITS} & layer_queue.r_rdy"),
        ("job_dispatcher", Dispatcher, "with m.If(queue.w_rdy):\n", "with m.If(1):\n"),
        (
            "job_dispatcher",
            Dispatcher,
            "current.code.eq(check.code)",
            "current.code.eq(check.code | (check.code >> 3))",
        ),
        ("job_dispatcher", Dispatcher, "with m.If(self.weight_commands.ready):", "with m.If(1):"),
        ("job_executor", Executor, "self.error_code.eq(current.code)", "self.error_code.eq(current.code | 8)"),
        ("job_executor", Executor, "(self.operand_commands.ready | ~is_product)", "1"),
        ("job_executor", Executor, "fields.opcode == Opcode.LOAD, fields.destination", "0, fields.destination"),
        ("job_executor", Executor, "count + begins - done", "count + begins"),
        ("job_executor", Executor, "fails & idle", "fails"),
        ("job_executor", Executor, "(count > allowed)", "(count >= allowed)"),
        ("job_executor", Executor, "finished.eq(last & idle)", "finished.eq(last)"),
    ],
    ids=[
        "an error stays",
        "a reset of an open bus",
        "a table outside",
        "no end",
        "another descriptor",
        "an abort lost",
        "a table refused",
        "a layer twice",
        "a descriptor lost",
        "another code",
        "weights that are not fetched",
        "another error",
        "an operand that is not loaded",
        "another place",
        "never complete",
        "reported too early",
        "waits for nothing",
        "ends too early",
    ],
)
def test_broken_jobs_fail(
    name: str, component: type, right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, component.__name__, broken(component, right, wrong))
    assert not prove(PROOFS[name], tmp_path).holds
