"""Proofs of decoder, requantizer and column hold, and each fails when what it is about is broken."""

from pathlib import Path

import pytest
from planted import broken

from ssvq_rtl.decoder import Decoder
from ssvq_rtl.mac_row import MacRow, products_of
from ssvq_rtl.requantizer import Requantizer
from ssvq_sim.formal import column, decode, requantize
from ssvq_sim.formal.column import column_proofs
from ssvq_sim.formal.decode import decode_proofs
from ssvq_sim.formal.engines import prove
from ssvq_sim.formal.requantize import requantizer_proofs

PROOFS = {proof.name: proof for proof in [*decode_proofs(), *requantizer_proofs(), *column_proofs()]}
DECODE = "decode_ssvq_k4_d4_lanes_8_step_0"


@pytest.mark.parametrize("name", [DECODE, "requantize_rounding", "requantize_product", "mac_column", "mac_product"])
def test_holds(name: str, tmp_path: Path) -> None:
    verdict = prove(PROOFS[name], tmp_path)
    assert verdict.holds, verdict.log


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(codewords[row][lane] ^ negative.replicate(8)) + negative", "(codewords[row][lane] ^ negative.replicate(8))"),
        ("negative = signs[row][lane]", "negative = signs[row][lane - 1]"),
        ("group.planes[p].word_select(quarter, lanes)", "group.planes[p].word_select(quarter ^ 1, lanes)"),
        ("issue.eq(active & ", "issue.eq(0 & "),
    ],
    ids=["wrong sign", "another lane's sign", "another index", "nothing comes"],
)
def test_a_broken_decoder_fails(right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "Decoder", broken(Decoder, right, wrong))
    assert not prove(PROOFS[DECODE], tmp_path).holds


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("requantize_rounding", "((window + 1) >> 1) + zero_point", "(window >> 1) + zero_point"),
        ("requantize_rounding", "with m.If(value > clamp_max)", "with m.If(value > clamp_max + 1)"),
        ("requantize_rounding", "_WINDOW_WIDTH = 11", "_WINDOW_WIDTH = 9"),
        ("requantize_product", "product.eq(biased * mantissa)", "product.eq(accumulator * mantissa)"),
    ],
    ids=["not rounded", "clamp", "narrow window", "no bias"],
)
def test_a_broken_requantizer_fails(
    name: str, right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requantize, "Requantizer", broken(Requantizer, right, wrong))
    assert not prove(PROOFS[name], tmp_path).holds


def test_broken_rows_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = "products.word_select(c, LANE)[:_PRODUCT_WIDTH].as_signed() + "
    narrow = broken(MacRow, right, right.replace("_WIDTH]", "_WIDTH - 1]"))
    monkeypatch.setattr(column.RowOfAnyProducts, "elaborate", narrow.elaborate)
    assert not prove(PROOFS["mac_column"], tmp_path).holds


def test_a_broken_product_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unsigned = broken(products_of, "weights.word_select(c, 8).as_signed()", "weights.word_select(c, 8)")
    monkeypatch.setattr(column, "products_of", unsigned)
    assert not prove(PROOFS["mac_product"], tmp_path).holds
