"""Proofs of streams hold, and each fails when what it is about is broken."""

from pathlib import Path

import pytest
from planted import broken

from ssvq_rtl.decoder import Decoder
from ssvq_rtl.width_converter import WidthConverter
from ssvq_sim.formal import streams
from ssvq_sim.formal.engines import Status, prove
from ssvq_sim.formal.streams import stream_proofs

PROOFS = {proof.name: proof for proof in stream_proofs()}


@pytest.mark.parametrize("name", ["converter_32_64", "converter_64_32", "converter_32_32", "fifo_4", "sign_queue"])
def test_holds(name: str, tmp_path: Path) -> None:
    verdict = prove(PROOFS[name], tmp_path)
    assert verdict.holds, verdict.log


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        (
            "converter_32_64",
            "o.valid.eq(full),\n            o.p.data.eq(word),\n            o.p.last.eq(last),",
            "o.valid.eq(full & o.ready), o.p.data.eq(word), o.p.last.eq(last),",
        ),
        ("converter_32_64", "i.ready.eq(~full | o.ready)", "i.ready.eq(1)"),
        ("converter_32_64", "part == ratio - 1)),\n            i.ready", "part == ratio - 2)),\n            i.ready"),
        ("converter_64_32", "part.eq(part + 1)", "part.eq(part)"),
        ("converter_64_32", "last & ends", "last"),
        ("converter_32_32", "i.ready.eq(~full | (o.ready & ends))", "i.ready.eq(~full | ends)"),
    ],
    ids=["valid waits for ready", "overwritten", "a part too few", "repeated", "last too early", "lost"],
)
def test_a_broken_converter_fails(
    name: str, right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "WidthConverter", broken(WidthConverter, right, wrong))
    assert prove(PROOFS[name], tmp_path).status is Status.FAILED


def test_a_sign_word_that_overtakes_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = "Mux(queue.r_rdy, queue.r_data, self.signs.payload)"
    monkeypatch.setattr(
        streams, "Decoder", broken(Decoder, right, "Mux(self.signs.valid, self.signs.payload, queue.r_data)")
    )
    assert prove(PROOFS["sign_queue"], tmp_path).status is Status.FAILED


def test_every_width_of_a_preset_is_there() -> None:
    ratios = {name for name in PROOFS if name.startswith("converter_")}
    assert {"converter_32_512", "converter_512_512", "converter_128_64", "converter_512_128"} <= ratios
    assert len(ratios) == 14
