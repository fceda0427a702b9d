"""The proofs of the multiplier cells hold, and each fails when what it is about is broken."""

from dataclasses import replace
from pathlib import Path

import pytest
from amaranth.hdl import Cat, Value

import ssvq_sim.formal.packing
from ssvq_gen.config import ECP5, PRESETS, CoreConfig
from ssvq_rtl.packed_segment import PackedSegment, packed_product
from ssvq_sim.formal.engines import prove
from ssvq_sim.formal.packing import packing_proofs
from ssvq_sim.formal.proof import Proof
from ssvq_sim.formal.proofs import ACTIVATIONS, all_proofs
from ssvq_sim.formal.row import row_proofs

PACKED = PRESETS["tiny"].replace(target="xc7", packed_macs=True)
EXTREMES = (-128, -1, 127)
"""Activations of the product, of which `make formal` takes all."""


def proofs() -> dict[str, Proof]:
    found = [*row_proofs(PRESETS["tiny"].replace(target=ECP5)), *packing_proofs(PACKED, EXTREMES)]
    return {proof.name: proof for proof in found}


def holds(proof: Proof, folder: Path) -> bool:
    return prove(proof, folder).holds


@pytest.mark.slow
@pytest.mark.parametrize("name", proofs())
def test_holds(name: str, tmp_path: Path) -> None:
    verdict = prove(proofs()[name], tmp_path)
    assert verdict.holds, verdict.log


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("ecp5_product", "{SIGNEDA & used_a[17], used_a}", "{1'b0, used_a}"),
        ("ecp5_row", 'if (REG_OUTPUT_CE == "CE3" ? CE3 : CE0) held', "held"),
        ("ecp5_row", 'if (REG_INPUTA_CE == "CE3" ? CE3 : CE0) held', "if (CE3) held"),
    ],
    ids=["unsigned operand", "product without enable", "weight with the activation's enable"],
)
def test_another_block_fails(name: str, right: str, wrong: str, tmp_path: Path) -> None:
    proof = proofs()[name]
    (file, text) = next(iter(proof.models.items()))
    assert right in text
    assert not holds(replace(proof, models={file: text.replace(right, wrong)}), tmp_path)


@pytest.mark.slow
def test_a_split_without_borrow_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def split(self: PackedSegment, packed: Value, pair: int) -> Value:
        width, low = PACKED.partial_width, 17
        before = self.before.word_select(pair, 2 * width)
        lower, upper = before[:width] + packed[:low].as_signed(), before[width:] + packed[low:35].as_signed()
        return Cat(lower[:width], upper[:width])

    monkeypatch.setattr(PackedSegment, "_split", split)
    assert not holds(proofs()["xc7_split"], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["xc7_first_addition", "xc7_addition"])
def test_a_narrow_sum_fails(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PackedSegment, "_field", lambda self, packed: Cat(packed[:32], Value.cast(0).replicate(32)))
    assert not holds(proofs()[name], tmp_path)


@pytest.mark.slow
def test_weights_of_the_wrong_order_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(config: CoreConfig, activation: Value, weights: Value) -> Value:
        return packed_product(config, activation, Cat(weights[8:], weights[:8]))

    monkeypatch.setattr(ssvq_sim.formal.packing, "packed_product", other)
    assert not holds(proofs()["xc7_product"], tmp_path)


def test_every_activation_is_proved() -> None:
    assert sorted(ACTIVATIONS) == list(range(-128, 128))
    names = [proof.name for proof in all_proofs()]
    assert len(set(names)) == len(names)
    assert set(proofs()) <= set(names)
    assert sum("any activation" in proof.claim for proof in all_proofs()) == 2
