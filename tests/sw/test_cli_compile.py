"""`ssvq compile`, from its arguments to the file, and `ssvq inspect` of that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from command_models import VIT, model, model_file, refused, run

from ssvq.network.files.network_file import load_network
from ssvq.program_file import save_program
from ssvq_gen.config import PRESETS


def compiled(folder: Path, name: str, *arguments: object) -> Path:
    file = folder / f"{name}.ssvqnet"
    result = run("compile", *model(folder, name), "-o", file, "--config", "tiny", *arguments)
    assert result.exit_code == 0, result.output
    return file


def test_a_transformer_is_all_on_the_core(tmp_path: Path) -> None:
    file = tmp_path / "vit.ssvqnet"
    result = run("compile", *model(tmp_path, "vit"), "-o", file, "--config", "tiny", "--strict", "--explain")
    assert result.exit_code == 0, result.output
    made = load_network(file)
    (part,) = made.network.core_parts
    for text in (
        "vit on tiny",
        f"{part.compiled.program.image.size:,}",
        f"{part.compiled.plan.words:,} of 2,048 words",
        "least cycles at 4 B, vector unit apart",
        "nothing on the host",
        "core 0",
        f"{tmp_path / 'vit.memory.svg'}: the activation memory over time",
        f"{file}: {file.stat().st_size:,} bytes",
    ):
        assert text in result.output
    assert made.config == PRESETS["tiny"]
    assert not made.work.on_host
    assert [layer.format for layer in made.layers] == ["int8", *["ssvq"] * 5]  # 49 inputs of a patch
    assert list(made.sample) == ["images"]
    assert made.expected["output"].shape == (1, 10)


def test_json_has_what_the_tables_have(tmp_path: Path) -> None:
    file = tmp_path / "words.ssvqnet"
    result = run("compile", *model(tmp_path, "words"), "-o", file, "--config", "tiny", "--json")
    about = json.loads(result.output)
    assert [part["name"] for part in about["parts"]] == ["host 0", "core 0", "host 1", "core 1"]
    hosted = {operator["name"]: operator for operator in about["host_operators"]}
    assert set(hosted) == {"table", "softmax", "argmax"}
    assert hosted["softmax"]["reason"] == "Softmax must be over the channels of each activation"
    assert hosted["softmax"]["bytes_to_host"] == hosted["softmax"]["bytes_from_host"] == 144
    assert about["host_mac_share"] == 0
    assert all(part["roofline_cycles"] > 0 for part in about["parts"] if part["where"] == "core")
    slower = run("compile", *model(tmp_path, "words"), "-o", file, "--config", "tiny", "--json", "--bytes-per-cycle", 1)
    assert json.loads(slower.output)["parts"][1]["roofline_cycles"] > about["parts"][1]["roofline_cycles"]


def test_what_is_on_the_host_is_shown(tmp_path: Path) -> None:
    result = run("compile", *model(tmp_path, "words"), "-o", tmp_path / "words.ssvqnet", "--config", "tiny")
    for text in ("a look-up in a table is the host's", "aten.argmax.default", "0.0% of MACs"):
        assert text in result.output


def test_the_same_command_writes_the_same_bytes(tmp_path: Path) -> None:
    first = compiled(tmp_path, "vit").read_bytes()
    assert compiled(tmp_path, "vit").read_bytes() == first
    assert compiled(tmp_path, "vit", "--seed", 1).read_bytes() != first


def test_weights_of_a_container(tmp_path: Path) -> None:
    container = tmp_path / "vit.ssvq"
    assert run("compress", *model(tmp_path, "vit"), "-o", container, "--codebook-size", 4).exit_code == 0
    file = compiled(tmp_path, "vit", "--layers", container)
    assert {layer.codebook_size for layer in load_network(file).layers} == {4, None}
    assert file.read_bytes() == compiled(tmp_path, "vit", "--codebook-size", 4).read_bytes()


def test_scales_are_those_of_the_samples(tmp_path: Path) -> None:
    images = np.linspace(-2, 3, 3 * 14 * 14, dtype=np.float32).reshape(3, 1, 14, 14)
    np.save(tmp_path / "images.npy", images)
    made = load_network(compiled(tmp_path, "vit", "--samples", tmp_path / "images.npy"))
    assert (made.sample["images"].numpy() == images[:1]).all()
    network = made.network.core_parts[0].compiled.network
    assert network.tensors["images"].scale.scale == pytest.approx(5 / 255)
    named = tmp_path / "images.safetensors"
    safetensors.numpy.save_file({"images": images[0]}, named)
    made = load_network(compiled(tmp_path, "vit", "--samples", named, "--percentile", 99))
    assert made.network.core_parts[0].compiled.network.tensors["images"].scale.scale < 5 / 255


def test_an_onnx_file(tmp_path: Path) -> None:
    onnx_models = pytest.importorskip("onnx_models")
    nodes = [
        onnx_models.helper.make_node("MatMul", ["x", "w"], ["h"], name="first"),
        onnx_models.helper.make_node("Softmax", ["h"], ["y"], name="softmax"),
    ]
    built = onnx_models.model_of(nodes, [onnx_models.constant("w", 6, 8)], ("batch", 6))
    path = onnx_models.saved(built, tmp_path)
    file = tmp_path / "net.ssvqnet"
    given = ["compile", path, "-o", file, "--config", "tiny", "--format", "int8"]
    assert "x: input_shapes must have its shape, as the file leaves batch open; the file's inputs are x" in refused(
        run(*given)
    )
    twice = ["--input-shape", "1,6", "--input-shape", "2,6"]
    assert "must each have the name of another input, not one without a name, one without" in refused(
        run(*given, *twice)
    )
    assert "y: input_shapes must be for inputs of the file (x)" in refused(run(*given, "--input-shape", "y=1,6"))
    for shape, where in (("1,6:int64", path), ("x=1,6:float32", "x")):
        line = refused(run(*given, "--input-shape", shape))
        assert line == f"error: {where}: an ONNX file has the types of its inputs: an input shape must be without " + (
            f":{shape.partition(':')[2]}"
        )
    assert not file.exists()
    assert run(*given, "--input-shape", "1,6").exit_code == 0
    bare = file.read_bytes()
    assert "takes neither a checkpoint nor options" in refused(run(*given, "--option", "a=1"))
    assert run(*given, "--input-shape", "x=1,6").exit_code == 0
    assert file.read_bytes() == bare
    assert "cosine to float 0.99" in run("run", file).output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--config", "none"], "none"),
        (["--clip", "least"], "clip must be one of percentile, mse, not 'least'"),
        (["--percentile", "40"], "percentile must be above 50 and at most 100, not 40.0"),
        *(
            (
                ["--bytes-per-cycle", rate],
                f"bytes_per_cycle must be a power of two from 1 to 4 for tiny, whose bus has 32 bits, or 0, not {rate}",
            )
            for rate in ("3", "5", "8", "-1", "-2")
        ),
        (["--samples", "none.npy"], "none.npy"),
        (["--samples", "models.py"], "models.py: inputs must be a .npy or .safetensors file, an image or a folder"),
        (
            ["--samples", "rows.npy"],
            "rows.npy: images must have the shape (1, 1, 14, 14), or samples of it, not (2, 3)",
        ),
        (["--samples", "whole.npy"], "whole.npy: images must be float32, not int64"),
        (["--samples", "nan.npy"], "nan.npy: images must be finite, 1 numbers are not"),
        (["--samples", "empty"], "empty must have at least one image"),
        (["--samples", "names.safetensors"], "names.safetensors: its arrays must be images, not x"),
        (["--layers", "none.ssvq"], "none.ssvq"),
        (["--layers", "rows.npy"], "header"),
        (["--layers", "x.ssvq", "--format", "int8"], "--layers has the weights: --format, --codebook-size, "),
        (["--format", "int4"], "patch_embed.proj: format int4 cannot run on the core tiny, only int8, ssvq, vq"),
        (["--codebook-size", "4", "--vector-dim", "16"], "vector_dim"),
        (["-o", "none/x.ssvqnet"], "the folder of none/x.ssvqnet must exist"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = model(tmp_path, "vit")
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", np.zeros((2, 3), dtype=np.float32))
    np.save("whole.npy", np.zeros(VIT, dtype=np.int64))
    np.save("nan.npy", np.where(np.arange(196).reshape(VIT) == 7, np.nan, 0).astype(np.float32))
    safetensors.numpy.save_file({"x": np.zeros(VIT, dtype=np.float32)}, "names.safetensors")
    Path("empty").mkdir()
    result = run("compile", *given, "-o", "x.ssvqnet", "--config", "tiny", *arguments)
    assert text in refused(result)
    assert not list(tmp_path.glob("**/*.ssvqnet"))
    assert not list(tmp_path.glob("**/*.tmp"))


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("words", ["--strict"], "table: Embedding must run on the core: a look-up in a table is the host's"),
        ("ordered", ["--strict"], "sort: aten.sort.default must run on the core"),
        ("infinite", [], "head.weight: weights must be finite, 1 of 160 are not"),
    ],
)
def test_models_that_cannot_be_compiled(name: str, arguments: list[str], text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.ssvqnet"
    assert text in refused(run("compile", *model(tmp_path, name), "-o", file, "--config", "tiny", *arguments))
    assert not file.exists()


def test_a_container_of_another_model(tmp_path: Path) -> None:
    container = tmp_path / "other.ssvq"
    file = tmp_path / "x.ssvqnet"
    given = ["compile", *model(tmp_path, "vit"), "-o", file, "--config", "tiny", "--layers", container]
    assert run("compress", *model(tmp_path, "ordered"), "-o", container, "--format", "int8").exit_code == 0
    assert "patch_embed.proj: the container must have its layer; it has fc" in refused(run(*given))
    wider = ["--option", "classes=30", "--format", "int8"]
    assert run("compress", *model(tmp_path, "vit"), "-o", container, *wider).exit_code == 0
    assert "head: its layer must have weights of (10, 16), not (30, 16)" in refused(run(*given))


def test_a_batch_is_said_in_one_reason(tmp_path: Path) -> None:
    given = ["compile", f"file:{model_file(tmp_path)}:vit", "-o", tmp_path / "x.ssvqnet", "--config", "tiny"]
    several = run(*given, "--format", "int8", "--input-shape", "2,1,14,14")
    assert several.exit_code == 0, several.output
    hint = "compile the model for a batch of 1, and run it 2 times, as the core takes one sample at a time"
    assert hint in several.output
    assert hint in refused(run(*given, "--format", "int8", "--input-shape", "2,1,14,14", "--strict"))
    assert "one sample at a time" not in run(*given, "--format", "int8", "--input-shape", "1,1,14,14").output


def test_a_name_of_a_shape_is_for_onnx_files(tmp_path: Path) -> None:
    given = ["compile", f"file:{model_file(tmp_path)}:vit", "--input-shape", "images=1,1,14,14"]
    result = run(*given, "-o", tmp_path / "x.ssvqnet")
    assert "images: input shapes must be in order and without names, but for an ONNX file" in refused(result)


def test_a_function_is_named_with_its_file(tmp_path: Path) -> None:
    assert load_network(compiled(tmp_path, "split")).name == "models.py:split"


def test_the_version_is_that_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssvq.cli.version", {"ssvq-core": "7.8.9"}.__getitem__)
    result = run("--version")
    assert (result.exit_code, result.output) == (0, "ssvq 7.8.9\n")


def tables(file: Path) -> tuple[str, dict[str, Any]]:
    shown, data = run("inspect", file), run("inspect", file, "--json")
    assert shown.exit_code == data.exit_code == 0, shown.output
    return shown.output, json.loads(data.output)


def test_inspect(tmp_path: Path) -> None:
    file = compiled(tmp_path, "words", "--format", "int8")
    text, about = tables(file)
    assert about["kind"] == "network"
    assert about["inputs"] == {"ids": "int64 (1, 9)"}
    assert about["programs"]["core 0"]["jobs"][0] == {
        **{"name": "input table", "first_descriptor": 0, "descriptors": {"LOAD": 1}},
        **{"weight_bytes": 0, "moved_bytes": 144},
    }
    for part in ("MATMUL", "input table", "activation memory of core 1", "a look-up in a table is the host's"):
        assert part in text
    program = load_network(file).network.core_parts[0].compiled.program
    save_program(program, tmp_path / "program")
    text, about = tables(tmp_path / "program")
    assert about["kind"] == "program"
    assert about["descriptor_count"] == program.descriptor_count
    assert "MATMUL" in text
    assert run("compress", *model(tmp_path, "words"), "-o", tmp_path / "layers", "--format", "int8").exit_code == 0
    text, about = tables(tmp_path / "layers")
    assert (about["kind"], [layer["name"] for layer in about["layers"]]) == (
        "container",
        ["first", "second", "head", "head_2"],
    )
    assert "must be a container, not a network" in refused(run("info", file))


def test_inspect_of_other_files(tmp_path: Path) -> None:
    file = compiled(tmp_path, "words", "--format", "int8")
    content = file.read_bytes()
    for name, wrong, text in (
        ("cut", content[:-5], "refused by safetensors"),
        ("flipped", content[:-1] + bytes([content[-1] ^ 1]), "the digest does not match the content"),
        ("short", b"abc", "is no container, program or compiled network"),
        ("text", b"x" * 100, "is no container, program or compiled network"),
        ("program", b"SSVQPROG" + content, "version"),
        ("weights", bytes(safetensors.numpy.save({"x": np.zeros(3)})), "its metadata are empty"),
    ):
        (tmp_path / name).write_bytes(wrong)
        assert text in refused(run("inspect", tmp_path / name))
    assert "must be a file" in refused(run("inspect", tmp_path))
    assert f"{tmp_path / 'none'} must exist" in refused(run("inspect", tmp_path / "none"))


def test_help_teaches() -> None:
    torch.set_num_threads(1)
    for command in ("compress", "compile", "run", "inspect"):
        result = run(command, "--help")
        assert result.exit_code == 0
        assert result.output.count(f"    ssvq {command} ") >= 4
    assert all(name in run("--help").output for name in ("compress", "compile", "run", "inspect", "train", "recipes"))
