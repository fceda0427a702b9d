"""`ssvq compress`, from its arguments to the container."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_models import model, model_file, refused, run

from ssvq.container import load
from ssvq.quantize.formats import WeightFormat


def test_all_layers_of_the_graph_are_compressed(tmp_path: Path) -> None:
    file = tmp_path / "vit.ssvq"
    result = run("compress", *model(tmp_path, "vit"), "-o", file, "--codebook-size", 4, "--rule", "*.fc?=int8")
    assert result.exit_code == 0, result.output
    layers = load(file)
    formats = {name: layer.format for name, layer in layers.items()}
    int8 = [formats.pop(name) for name in ("patch_embed.proj", "blocks.0.mlp.fc1", "blocks.0.mlp.fc2")]
    assert set(int8) == {WeightFormat.INT8}  # the first as a patch has 49 inputs, the others by the rule
    assert list(formats) == ["blocks.0.attn.qkv", "blocks.0.attn.proj", "head"]
    assert set(formats.values()) == {WeightFormat.SSVQ}
    assert {layer.codebook_size for layer in layers.values()} == {4, None}
    assert all(name in result.output for name in layers)
    assert f"{file}: {file.stat().st_size:,} bytes" in result.output
    assert "int8 in place of ssvq: patch_embed.proj (a codebook needs" in result.output
    assert f"{layers['head'].bits_per_weight:.3f}" in run("info", file).output


def test_json_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "vit.ssvq"
    result = run("compress", *model(tmp_path, "vit"), "-o", file, "--format", "int4", "--json")
    about, layers = json.loads(result.output), load(file)
    assert about["file"] == str(file)
    assert [row["name"] for row in about["layers"]] == list(layers)
    assert about["bits_per_weight"] == pytest.approx(
        sum(layer.storage_bits for layer in layers.values()) / sum(layer.weight_count for layer in layers.values())
    )
    assert all(15 < row["sqnr_db"] < 30 for row in about["layers"])
    plain = run("compress", *model(tmp_path, "vit"), "-o", file, "--format", "int4")
    assert "in place of" not in plain.output
    best = run("compress", *model(tmp_path, "vit"), "-o", file, "--format", "float", "--json")
    assert {row["sqnr_db"] for row in json.loads(best.output)["layers"]} == {None}  # exact


def test_a_layer_shorter_than_the_codebook_is_int8(tmp_path: Path) -> None:
    file = tmp_path / "ordered.ssvq"
    result = run("compress", *model(tmp_path, "ordered"), "-o", file, "--codebook-size", 16)
    assert result.exit_code == 0
    assert all(name in result.output.partition("int8 in place of ssvq: ")[2] for name in load(file))
    assert {layer.format for layer in load(file).values()} == {WeightFormat.INT8}


def test_the_same_command_writes_the_same_bytes(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b", "c")]
    for file, seed in zip(files, (1, 1, 2), strict=True):
        result = run("compress", *model(tmp_path, "vit"), "-o", file, "--seed", seed, "--codebook-size", 4)
        assert result.exit_code == 0, result.output
    first, second, other = (file.read_bytes() for file in files)
    assert first == second != other


def test_options_of_the_model(tmp_path: Path) -> None:
    file = tmp_path / "vit.ssvq"
    result = run("compress", *model(tmp_path, "vit"), "-o", file, "--option", "classes=30", "--format", "int8")
    assert result.exit_code == 0, result.output
    assert load(file)["head"].weight_shape == (30, 16)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--codebook-size", "8192"], "codebook_size must be in 2..4096, not 8192"),
        (["--codebook-size", "12"], "codebook_size must be a power of two, not 12"),
        (["--vector-dim", "1"], "vector_dim must be in 2..32, not 1"),
        (["--format", "int8", "--codebook-size", "4"], "codebook_size must be None for format int8, not 4"),
        (["--format", "int9"], "format must be one of ssvq, vq, mvq, int8, int4, int3, int2, float, not 'int9'"),
        (["--rule", "head=ssvq:64:8"], "head: codebook_size must be at most the layer's 20 subvectors, not 64"),
        (["--rule", "heads=int8"], "rule 'heads' matches no layer; layers are patch_embed.proj, blocks.0.attn.qkv, "),
        (["--rule", "*=int8", "--rule", "head=int4"], "rule 'head' matches only layers that earlier rules decide"),
        (["--rule", "head"], "a rule must be PATTERN=FORMAT[:CODEBOOK_SIZE:VECTOR_DIM[:KEEP:GROUP]], not 'head'"),
        (["--rule", "head=ssvq:16"], "weights must be FORMAT[:SIZE:DIM[:KEEP:GROUP]], FORMAT of ssvq, vq, "),
        (["--option", "classes"], "an option must be KEY=VALUE, not 'classes'"),
        (["--option", "norm=False"], "an option's value must be JSON, or text: norm=false, not norm=False"),
        (["--option", "width=3"], "must be of checkpoint, classes, not 'width'"),
        (["--checkpoint", "none.pt"], "checkpoint must be a file, not 'none.pt'"),
        (["--input-shape", "1,x"], "an input shape must be [NAME=]1,3,224,224[:DTYPE], DTYPE of float32, "),
        (["--input-shape", "1,1,14,14:half"], "an input shape must be [NAME=]1,3,224,224[:DTYPE]"),
        (["--input-shape", "1,1,14,14"], "torch.export must accept the model; it says: "),
        (["-o", "none/vit.ssvq"], "the folder of none/vit.ssvq must exist"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = model(tmp_path, "vit")
    monkeypatch.chdir(tmp_path)
    assert text in refused(run("compress", *given, "-o", "vit.ssvq", *arguments))
    assert [entry.name for entry in tmp_path.iterdir()] == ["models.py"]


@pytest.mark.parametrize(
    ("name", "shape", "text"),
    [
        ("resnet", "1,3", "model must be one of deit_tiny, "),
        ("file:none.py:vit", "1,3", "the model's file must exist, not 'none.py'"),
        ("none.onnx", "1,3", "none.onnx: the file must exist"),
        ("timm:none", "1,3,8,8", "timm"),
    ],
)
def test_unknown_models(name: str, shape: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert text in refused(run("compress", name, "--input-shape", shape, "-o", "x.ssvq"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("infinite", "head.weight: weights must be finite, 1 of 160 are not"),
        ("nothing", "must have layers to compress, and has none"),
        ("absent", "must have a function 'absent'"),
    ],
)
def test_models_that_cannot_be_compressed(name: str, text: str, tmp_path: Path) -> None:
    assert text in refused(run("compress", *model(tmp_path, name), "-o", tmp_path / "x.ssvq"))
    assert not (tmp_path / "x.ssvq").exists()


def test_shapes_that_nobody_knows(tmp_path: Path) -> None:
    result = run("compress", f"file:{model_file(tmp_path)}:vit", "-o", tmp_path / "x.ssvq")
    assert "vit: the shapes of its inputs are not known: give --input-shape, as 1,3,224,224" in refused(result)
