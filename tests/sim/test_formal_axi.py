"""Proofs of the AXI side hold, and each fails when what it is about is broken."""

from pathlib import Path

import pytest
from planted import broken

from ssvq_rtl.burst_splitter import BurstSplitter
from ssvq_rtl.read_arbiter import ReadArbiter
from ssvq_sim.formal import axi_bursts, axi_read
from ssvq_sim.formal.axi_bursts import burst_proofs
from ssvq_sim.formal.axi_read import read_proofs
from ssvq_sim.formal.engines import prove

PROOFS = {proof.name: proof for proof in [*burst_proofs(), *read_proofs()]}


@pytest.mark.parametrize("name", ["axi_bursts_32", "axi_read"])
def test_holds(name: str, tmp_path: Path) -> None:
    verdict = prove(PROOFS[name], tmp_path)
    assert verdict.holds, verdict.log


def fails(name: str, tmp_path: Path) -> bool:
    return not prove(PROOFS[name], tmp_path).holds


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("space.eq(MAX_BURST_BEATS - offset)", "space.eq(MAX_BURST_BEATS)"),
        ("ends.eq(remaining <= space)", "ends.eq(remaining < space)"),
        ("remaining.eq(remaining - beats)", "remaining.eq(remaining - beats - 1)"),
        ("active & (self.credit >= beats)", "active & (self.credit + 1 >= beats)"),
    ],
    ids=["across a page", "an empty burst", "a length", "without credit"],
)
def test_a_broken_splitter_fails(right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(axi_bursts, "BurstSplitter", broken(BurstSplitter, right, wrong))
    assert fails("axi_bursts_32", tmp_path)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("axi.arlen.eq(address.beats - 1)", "axi.arlen.eq(address.beats)"),
        ("room & ~valids[:client].any()", "room"),
        ("owners.r_en.eq(self.beat & axi.rlast)", "owners.r_en.eq(self.beat)"),
        (
            "axi.rready.eq(owners.r_rdy & (stop | owner_ready))",
            "axi.rready.eq(owners.r_rdy & (self.halt | owner_ready))",
        ),
        ("& (~axi.arvalid | axi.arready)),", "),"),
        ("bytes_of_beats(config, position)", "bytes_of_beats(config, position + 1)"),
        ("rvalid & owners.r_rdy & ~stop & ~bad", "rvalid & owners.r_rdy & ~bad"),
        ("entry.client.eq(client)", "entry.client.eq(0)"),
        ("stop | owner_ready", "owner_ready"),
    ],
    ids=[
        "a length",
        "two at once",
        "an owner too early",
        "a failed bus that waits",
        "an address lost",
        "address of an error",
        "beats behind an error",
        "another client",
        "no drain",
    ],
)
def test_a_broken_arbiter_fails(right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(axi_read, "ReadArbiter", broken(ReadArbiter, right, wrong))
    assert fails("axi_read", tmp_path)
