"""Proofs of the AXI side hold, and each fails when what it is about is broken."""

from pathlib import Path

import pytest
from planted import broken

from ssvq_rtl.axi_lite import AxiLiteSlave
from ssvq_rtl.burst_splitter import BurstSplitter
from ssvq_rtl.descriptor_fetch import DescriptorFetch
from ssvq_rtl.load import LoadEngine
from ssvq_rtl.read_arbiter import ReadArbiter
from ssvq_rtl.store import StoreEngine
from ssvq_rtl.weight_stream import WeightStream
from ssvq_sim.formal import axi_bursts, axi_credit, axi_descriptors, axi_lite, axi_read, axi_store, axi_write
from ssvq_sim.formal.axi_bursts import burst_proofs
from ssvq_sim.formal.axi_credit import credit_proofs
from ssvq_sim.formal.axi_descriptors import descriptor_proofs
from ssvq_sim.formal.axi_lite import lite_proofs
from ssvq_sim.formal.axi_read import read_proofs
from ssvq_sim.formal.axi_store import store_proofs
from ssvq_sim.formal.axi_write import write_proofs
from ssvq_sim.formal.engines import prove
from ssvq_sim.formal.proof import Proof


def axi_proofs() -> list[Proof]:
    return [
        *burst_proofs(),
        *read_proofs(),
        *lite_proofs(),
        *credit_proofs(),
        *descriptor_proofs(),
        *write_proofs(),
        *store_proofs(),
    ]


PROOFS = {proof.name: proof for proof in axi_proofs()}


@pytest.mark.parametrize(
    "name",
    [
        "axi_bursts_32",
        "axi_read",
        "axi_lite",
        "axi_weights",
        "axi_load_32",
        "axi_descriptors_32",
        "axi_descriptors_64",
        "axi_write",
        "axi_store_128",
    ],
)
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


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(~axi.bvalid | axi.bready)", "1"),
        ("axi.arready.eq(~reading & ~captures & ~axi.rvalid)", "axi.arready.eq(~reading & ~captures)"),
        ("axi.wready.eq(~data_held)", "axi.wready.eq(1)"),
        ("axi.bvalid.eq(1)]", "axi.bvalid.eq(axi.bready)]"),
    ],
    ids=["responses in one", "a read lost", "data lost", "no response"],
)
def test_a_broken_register_bus_fails(right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(axi_lite, "AxiLiteSlave", broken(AxiLiteSlave, right, wrong))
    assert fails("axi_lite", tmp_path)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("0) + fetched)", "0) + fetched + requested)"),
        ("fetched.eq(delivered),", "fetched.eq(self.o.ready),"),
        ("last.eq(remaining == 2)", "last.eq(remaining == 1)"),
        ("(splitter.commands.ready | ~fetches)", "(~fetches | 1)"),
    ],
    ids=["a beat too many", "credit for nothing", "last too late", "a command lost"],
)
def test_a_broken_weight_stream_fails(right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(axi_credit, "WeightStream", broken(WeightStream, right, wrong))
    assert fails("axi_weights", tmp_path)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(remaining == 1)", "(remaining == 2)"),
        ("beats.eq(beats_of_words(config, command.words))", "beats.eq(beats_of_words(config, command.words) + 1)"),
        ("word_addr.eq(word_addr + 1)", "word_addr.eq(word_addr + 2)"),
        ("self.requests.p.beats, 0)", "self.requests.p.beats - 1, 0)"),
    ],
    ids=["a word too few", "outside of the window", "another place", "too many open"],
)
def test_a_broken_load_fails(right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(axi_credit, "LoadEngine", broken(LoadEngine, right, wrong))
    assert fails("axi_load_32", tmp_path)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("request_addr.eq(self.addr)", "request_addr.eq(self.addr - DESCRIPTOR_BYTES)"),
        ("to_request.eq(self.count)", "to_request.eq(self.count + 1)"),
        ("request_addr.eq(request_addr + DESCRIPTOR_BYTES)", "request_addr.eq(request_addr + 2 * DESCRIPTOR_BYTES)"),
        ("DESCRIPTOR_BYTES // config.beat_bytes)", "DESCRIPTOR_BYTES // config.beat_bytes + 1)"),
        ("request_index.eq(request_index + 1)", "request_index.eq(request_index)"),
        ("requested.eq(self.requests.valid & self.requests.ready)", "requested.eq(self.requests.valid)"),
        ("(to_request != 0) & (free != 0)", "(to_request != 0) & (free != 0) & ~self.data.valid"),
        ("(to_request != 0) & (free != 0)", "(to_request != 0)"),
        ("(self.o.valid & self.o.ready))\n", "self.o.valid)\n"),
        ("(self.o.valid & self.o.ready))\n", "(self.o.valid & self.o.ready & ~requested))\n"),
        ("self.data.ready.eq(assemble.i.ready)", "self.data.ready.eq(assemble.i.ready & ~hold.o.valid)"),
        ("assemble.o.ready.eq(hold.i.ready)", "assemble.o.ready.eq(1)"),
        ("hold.o.ready.eq(self.o.ready)", "hold.o.ready.eq(self.o.ready & ~self.o.p.last)"),
        ("assemble.i.p.data.eq(self.data.p.data)", "assemble.i.p.data.eq(self.data.p.data ^ self.data.p.last)"),
        ("self.o.valid.eq(hold.o.valid)", "self.o.valid.eq(hold.o.valid & ~self.data.valid)"),
        ("self.o.p.last.eq(to_deliver == 1)", "self.o.p.last.eq(to_request == 0)"),
        ("index.eq(index + 1)]", "index.eq(index + requested)]"),
        ("to_deliver.eq(self.count),\n                index.eq(0),", "to_deliver.eq(self.count),"),
        ("to_request = Signal(INDEX_WIDTH)", "to_request = Signal(INDEX_WIDTH, reset_less=True)"),
    ],
    ids=[
        "below the table",
        "behind the table",
        "a gap",
        "a length",
        "a tag",
        "a request lost",
        "a request taken back",
        "without room",
        "room too early",
        "room lost",
        "a beat that waits",
        "a descriptor lost",
        "a descriptor twice",
        "a beat changed",
        "a descriptor taken back",
        "last too early",
        "an index",
        "the last job's index",
        "requests after a reset",
    ],
)
def test_a_broken_descriptor_fetch_fails(
    right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(axi_descriptors, "DescriptorFetch", broken(DescriptorFetch, right, wrong))
    assert fails("axi_descriptors_64", tmp_path)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("last.eq(ends)", "last.eq(0)"),
        ("lengths.w_data.eq(requests.p.beats - 1)", "lengths.w_data.eq(requests.p.beats)"),
        ("lengths.r_rdy & (~axi.wvalid | axi.wready)", "(~axi.wvalid | axi.wready)"),
        ("beats.ready.eq(lengths.r_rdy & (~axi.wvalid | axi.wready))", "beats.ready.eq(lengths.r_rdy)"),
        ("requests.ready.eq(~stop &", "requests.ready.eq("),
        ("error.addr.eq(response.p.addr)", "error.addr.eq(axi.awaddr)"),
        ("finished = busy & ~stop & splitter.idle & ~bus_open", "finished = busy & ~stop & splitter.idle"),
        ("strobe.eq(Mux(beats.p.last, last_strobe, (1 << config.beat_bytes) - 1))", "strobe.eq(1)"),
    ],
    ids=[
        "no WLAST",
        "a beat too many",
        "a beat before its address",
        "a beat lost",
        "a burst after an error",
        "another address reported",
        "done before the responses",
        "strobes",
    ],
)
def test_a_broken_store_fails(right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(axi_write, "StoreEngine", broken(StoreEngine, right, wrong))
    assert fails("axi_write", tmp_path)


@pytest.mark.parametrize(
    ("width", "right", "wrong"),
    [
        (32, "words.r_en.eq(converter.i.ready)", "words.r_en.eq(0)"),
        (32, "remaining.eq(self.commands.p.words)", "remaining.eq(self.commands.p.words - 1)"),
        (64, "beat_data.eq(beats.p.data)", "beat_data.eq(beats.p.data ^ (beats.p.last << 63))"),
        (128, "used > n * words_per_beat // config.beat_bytes", "used >= n * words_per_beat // config.beat_bytes"),
    ],
    ids=["no word is taken", "a word is missing", "another byte", "bytes behind the end"],
)
def test_a_store_of_other_bytes_fails(
    width: int, right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(axi_store, "StoreEngine", broken(StoreEngine, right, wrong))
    assert fails(f"axi_store_{width}", tmp_path)
