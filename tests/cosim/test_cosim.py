"""The command behind `make cosim`: all real layers on `edge`, the file it writes, what it says of a wrong result."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ssvq.compile import compile_layer
from ssvq.program import Program
from ssvq_gen.config import PRESETS
from ssvq_gen.format import Opcode
from ssvq_sim import cosim, real_layers

KEYS = {
    *("layer", "format", "codebook_size", "vector_dim", "weight_bytes", "bits_per_weight"),
    *("sqnr_db", "cycles", "roofline_cycles", "bit_exact"),
}
LAYERS = {*real_layers.MINILM_LAYERS, *real_layers.EFFICIENTNET_LAYERS}

pytestmark = [pytest.mark.slow, pytest.mark.cosim]


def test_all_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cosim.main(["--config", "edge", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.rstrip().endswith("PASS")
    data = json.loads((tmp_path / "edge" / "cosim.json").read_text())
    assert set(data) == {"config", "cases"}
    assert data["config"] == "edge"
    assert {(case["layer"], case["format"], case["codebook_size"]) for case in data["cases"]} == {
        (layer, choice.format.value, choice.codebook_size) for layer in LAYERS for choice in real_layers.FORMATS
    }
    for case in data["cases"]:
        assert set(case) == KEYS
        assert case["bit_exact"] is True
        assert 1 <= case["cycles"] / case["roofline_cycles"] < 2
    ssvq, dense = (
        next(c for c in data["cases"] if c["layer"].endswith("output.dense") and c["format"] == name)
        for name in ("ssvq", "int8")
    )
    assert 1.5 <= ssvq["bits_per_weight"] < 1.6
    assert 8.0 <= dense["bits_per_weight"] < 8.1


def test_wrong_result(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*arguments: Any) -> Program:
        program = compile_layer(*arguments)
        start = next(d for d in program.descriptors() if d["opcode"] == Opcode.MATMUL)["dram_offset"]
        image = program.image.copy()
        image[start : start + 128] ^= 0x7F  # every codeword
        return replace(program, image=image)

    layers = real_layers.real_layers
    monkeypatch.setattr(cosim, "real_layers", lambda: layers()[-1:])
    monkeypatch.setattr(cosim, "FORMATS", real_layers.FORMATS[:1])
    monkeypatch.setattr(cosim, "compile_layer", damaged)
    assert cosim.main(["--config", "tiny", "--out", str(tmp_path)]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "FAIL _blocks.10._project_conv ssvq k=16 d=8: layer" in text
    assert "decoded weight differs in tile (n=0, k=0), row 0" in text
    assert not (tmp_path / "tiny" / "cosim.json").exists()


def test_unknown_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert cosim.main(["--config", "huge"]) == 2
    assert "neither a preset" in capsys.readouterr().err


def test_formats_a_core_lacks() -> None:
    small = PRESETS["tiny"].replace(max_codebook_size=16)
    names = [f.name.lower() for f in small.formats]
    kept = [c for c in real_layers.FORMATS if real_layers.runnable(c, names, small.max_codebook_size, 4)]
    assert [str(choice) for choice in kept] == ["int8"]
