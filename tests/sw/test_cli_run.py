"""`ssvq run` on the golden model: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from command_models import VIT, model, refused, run
from PIL import Image

from ssvq.network.files.network_file import CompiledModel, load_network
from ssvq.network.hosting.backend import SIMULATOR, BackendError, BusSettings, ProgramRun
from ssvq.network.report.accuracy_line import cosine, top
from ssvq.program import Program, place_input, read_output
from ssvq.reference import Int8Array
from ssvq_gen.config import CoreConfig
from ssvq_sim.systems.core_model import CoreModel


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("vit"), "vit")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("words"), "words")


def compiled(folder: Path, name: str) -> Path:
    file = folder / f"{name}.ssvqnet"
    result = run("compile", *model(folder, name), "-o", file, "--config", "tiny", "--format", "int8")
    assert result.exit_code == 0, result.output
    return file


def logits(made: CompiledModel, x: torch.Tensor) -> np.ndarray[Any, Any]:
    return made.network.run_reference((x,))["output"].numpy()


def test_the_stored_sample_is_compared_with_the_float_model(vit: Path) -> None:
    result, made = run("run", vit, "--json"), load_network(vit)
    assert result.exit_code == 0, result.output
    about = json.loads(result.output)
    found = logits(made, made.sample["images"])
    (output,) = about["outputs"]
    assert output["shape"] == [1, 10]
    assert output["cosine_to_float"] == pytest.approx(cosine(found, made.expected["output"].numpy()))
    assert output["cosine_to_float"] > 0.9
    assert [place for place, _ in output["top"]] == list(np.argsort(-found[0], kind="stable")[:5])
    assert (about["cycles"], about["bit_exact"], about["parts"], about["host_operators"]) == (None, None, [], [])
    text = run("run", vit).output
    assert "vit on tiny, reference" in text
    assert f"output: 1 x 10, cosine to float {output['cosine_to_float']:.6f}" in text
    assert f"top: {output['top'][0][0]} (" in text


def test_other_inputs_and_outputs(vit: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(3).normal(size=VIT).astype(np.float32)
    np.save(tmp_path / "x.npy", image[0])
    result = run("run", vit, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy")
    assert result.exit_code == 0, result.output
    assert "cosine" not in result.output
    expected = logits(load_network(vit), torch.from_numpy(image))
    assert (np.load(tmp_path / "y.npy") == expected).all()
    assert run("run", vit, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.safetensors").exit_code == 0
    assert (safetensors.numpy.load_file(tmp_path / "y.safetensors")["output"] == expected).all()


def test_hosts_run_between_the_parts_of_the_core(tmp_path: Path) -> None:
    file = compiled(tmp_path, "split")
    result = run("run", file, "--output", tmp_path / "y.npy", "--dump", tmp_path / "dump")
    assert result.exit_code == 0, result.output
    assert "on the host: softmax" in result.output
    made = load_network(file)
    expected = made.expected["output"].numpy()
    assert cosine(np.load(tmp_path / "y.npy"), expected) > 0.999
    assert {folder.name for folder in (tmp_path / "dump").iterdir()} == {"core-0", "core-1"}


def test_operations_of_the_host_run_from_the_file(words: Path, tmp_path: Path) -> None:
    made = load_network(words)
    assert {node.name for node in made.work.on_host} == {"table", "softmax", "argmax"}
    result = run("run", words, "--output", tmp_path / "y.safetensors")
    assert result.exit_code == 0, result.output
    found = safetensors.numpy.load_file(tmp_path / "y.safetensors")
    assert set(found) == set(made.expected)
    (places,) = (value for value in found.values() if value.dtype == np.int64)
    assert places.shape == (1, 9)


def test_all_tensors_are_dumped(vit: Path, tmp_path: Path) -> None:
    assert run("run", vit, "--dump", tmp_path / "dump").exit_code == 0
    made = load_network(vit)
    (part,) = made.network.core_parts
    network = part.compiled.network
    memory = network.run(network.quantize_inputs(made.sample["images"].numpy()))
    folder = tmp_path / "dump" / "core-0"
    index = json.loads((folder / "index.json").read_text())
    assert {entry["tensor"] for entry in index} == set(memory)
    for entry in index:
        assert (np.load(folder / entry["file"]) == memory[entry["tensor"]]).all()
        assert entry["scale"] == network.tensors[entry["tensor"]].scale.scale
    order = [entry["tensor"] for entry in index]
    assert order.index("images") < order.index("blocks.0.norm1") < order.index("head")
    assert len(list(folder.iterdir())) == len(index) + 1


def test_images(tmp_path: Path) -> None:
    file = tmp_path / "fashion.ssvqnet"
    given = ["compile", "fashion_vit", "-o", file, "--config", "edge", "--format", "int8"]
    assert run(*given).exit_code == 0
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(tmp_path / "x.png")
    result = run("run", file, "--input", tmp_path / "x.png")
    assert result.exit_code == 0, result.output
    assert "output: 1 x 10" in result.output
    (tmp_path / "y.png").write_bytes(b"x")
    assert "cannot be read as an image" in refused(run("run", file, "--input", tmp_path / "y.png"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--backend", "fpga"], "backend must be one of reference, sim, device, not 'fpga'"),
        (["--profile", "p.json"], "--profile needs --backend sim or device: the reference has no cycles"),
        (["--bytes-per-cycle", "3"], "bytes_per_cycle must be a power of two from 1 to 4 for tiny, whose bus has 32"),
        (["--bytes-per-cycle", "-4"], "or 0, not -4"),
        (["--backend", "sim", "--bytes-per-cycle", "8"], "or 0, not 8"),
        (["--input", "none.npy"], "none.npy"),
        (["--input", "rows.npy"], "images must have the shape (1, 1, 14, 14), or samples of it, not (2, 3)"),
        (["--input", "two.npy"], "two.npy must have one sample, not 2"),
        (["--input", "x.png"], "an input of shape (1, 1, 14, 14) is not made from an image file; give a .npy file"),
        (["--output", "y.txt"], "outputs must go to a .npy or .safetensors file, not 'y.txt'"),
        (["--output", "none/y.npy"], "the folder of none/y.npy must exist"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], text: str, vit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", np.zeros((2, 3), dtype=np.float32))
    np.save("two.npy", np.zeros((2, 1, 14, 14), dtype=np.float32))
    Image.new("RGB", (14, 14)).save("x.png")
    before = sorted(entry.name for entry in tmp_path.iterdir())
    assert text in refused(run("run", vit, *arguments))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before


def test_ids_and_several_outputs(words: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.full((1, 9), 50))
    assert "index out of range" in refused(run("run", words, "--input", tmp_path / "ids.npy"))
    np.save(tmp_path / "real.npy", np.zeros((1, 9)))
    assert "ids must be int64, not float64" in refused(run("run", words, "--input", tmp_path / "real.npy"))
    text = refused(run("run", words, "--output", tmp_path / "y.npy"))
    assert "2 outputs (output_0, output_1) must go to a .safetensors file, not .npy" in text


def test_files_that_are_none(vit: Path, tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(vit.read_bytes()[:-1])
    assert "refused by safetensors" in refused(run("run", tmp_path / "cut"))
    assert "none" in refused(run("run", tmp_path / "none"))


class FakeBackend(ModuleType):
    """The functional model of the core in place of the simulation."""

    def __init__(self, *, wrong: bool = False, error: str = "") -> None:
        super().__init__("fake")
        self.wrong, self.error, self.bus = wrong, error, BusSettings()

    def run_program(
        self, config: CoreConfig, program: Program, inputs: dict[str, Int8Array], *, bus: BusSettings, profile: bool
    ) -> ProgramRun:
        if self.error:
            raise BackendError(self.error)
        self.bus = bus
        window = program.new_memory()
        for job, values in inputs.items():
            place_input(window, program, values, job=job)
        CoreModel(config).run(window, program.descriptor_offset, program.descriptor_count)
        outputs = {job.name: read_output(window, program, job=job.name) for job in program.jobs if job.output}
        if self.wrong:
            outputs = {name: values ^ 1 for name, values in outputs.items()}
        return ProgramRun(outputs=outputs, counters={"TOTAL_CYCLES": 1234}, profile=None)


def use(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    monkeypatch.setitem(sys.modules, SIMULATOR, backend)
    return backend


def test_a_program_is_compared_with_the_golden_model(vit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = use(FakeBackend(), monkeypatch)
    result = run("run", vit, "--backend", "sim", "--bytes-per-cycle", 2, "--latency", 7)
    assert result.exit_code == 0, result.output
    assert "1,234 cycles" in result.output
    assert "outputs are equal to the golden model's, bit for bit" in result.output
    assert backend.bus == BusSettings(bytes_per_cycle=2, latency=7)


def test_one_wrong_integer_is_exit_code_1(vit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(FakeBackend(wrong=True), monkeypatch)
    result = run("run", vit, "--backend", "sim", "--json")
    assert result.exit_code == 1
    about = json.loads(result.output)
    assert (about["bit_exact"], about["cycles"], about["parts"][0]["bit_exact"]) == (False, 1234, False)
    assert "NOT EQUAL" in run("run", vit, "--backend", "sim").output


def test_a_run_that_ends_early_is_exit_code_1(vit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(FakeBackend(error="JobFailed: the watchdog bit"), monkeypatch)
    result = run("run", vit, "--backend", "sim")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "error: JobFailed: the watchdog bit"


def test_a_backend_that_is_not_installed(vit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssvq.network.hosting.backend.SIMULATOR", "ssvq_nowhere.network_backend")
    text = refused(run("run", vit, "--backend", "sim"))
    assert "backend sim needs ssvq_nowhere; run: pip install 'ssvq-core[rtl,sim]', or take --backend reference" in text


def test_cosine_and_top() -> None:
    assert cosine(np.array([1.0, 0.0]), np.array([0.0, 2.0])) == 0
    assert cosine(np.array([[3.0, 4.0]]), np.array([6.0, 8.0])) == pytest.approx(1)
    assert (cosine(np.zeros(2), np.zeros(2)), cosine(np.zeros(2), np.ones(2))) == (1, 0)
    assert top(np.array([[1.0, 3.0, 3.0]]), 2) == [(1, 3.0), (2, 3.0)]
    assert top(np.zeros((2, 3))) == top(np.zeros((1, 3), dtype=np.int64)) == top(np.zeros(3)) == []
