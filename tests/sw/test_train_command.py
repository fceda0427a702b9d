"""The `ssvq` command, from its arguments to the files that it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from tiny_training import MODEL, SSVQ_RULE, ready, write_recipe
from typer.testing import CliRunner, Result

from ssvq.cli import app
from ssvq.models.vision_transformer import deit_tiny
from ssvq.train.checkpoint import CheckpointFolder
from ssvq.train.recipe import packaged_recipes
from ssvq.train.results import CONTAINER_NAME, RESULT_NAME, WEIGHTS_NAME
from ssvq.train.run import finish
from ssvq.train.sign_history import FROZEN
from ssvq.train.state_file import load_state
from ssvq.train.training_log import CSV_NAME

TIMEOUT = 120
FAULTY = """
import os, signal
import torch
from torch import nn

class Faulty(nn.Sequential):
    calls = 0

    def forward(self, x):
        Faulty.calls += self.training
        if Faulty.calls == 3 and os.environ.get("FAULT") == "signal":
            os.kill(os.getpid(), signal.SIGTERM)
        if Faulty.calls == 3 and os.environ.get("FAULT") == "nan":
            x = x * torch.nan
        return super().forward(x)

def faulty():
    return Faulty(*build().children())

def infinite():
    return nn.Sequential(nn.Threshold(1e9, torch.inf), *build().children())
"""


def _run(*arguments: object) -> Result:
    torch.set_num_threads(1)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}


def _rows(folder: Path) -> list[list[str]]:
    """The log without its times."""
    rows = [line.split(",") for line in (folder / CSV_NAME).read_text().splitlines()]
    return [row[:2] + row[3:] for row in rows]


def test_help_teaches() -> None:
    for arguments, texts in (
        (["--help"], ["train", "recipes", "info"]),
        (["train", "--help"], ["[[rules]]", 'format = "ssvq"', "torchrun", "--set"]),
    ):
        result = _run(*arguments)
        assert result.exit_code == 0
        assert all(text in result.output for text in texts)


def test_a_recipe_is_trained(tmp_path: Path) -> None:
    result = _run("train", write_recipe(tmp_path), "--output", tmp_path / "elsewhere", "--set", "training.steps=2")
    assert result.exit_code == 0, result.output
    names = {entry.name for entry in (tmp_path / "elsewhere").iterdir()}
    assert names == {"checkpoints", CSV_NAME, CONTAINER_NAME, WEIGHTS_NAME, RESULT_NAME}
    assert "final" in result.output
    table = _run("info", tmp_path / "elsewhere" / CONTAINER_NAME)
    assert table.exit_code == 0
    bits = json.loads((tmp_path / "elsewhere" / RESULT_NAME).read_text())["bits_per_weight"]
    assert f"{bits:.3f}" in table.output
    assert "int8" in table.output


def test_recipes_are_listed_and_printed() -> None:
    listed = _run("recipes")
    assert [line.split()[0] for line in listed.output.splitlines()] == packaged_recipes()
    assert 'name = "deit_tiny"' in _run("recipes", "deit_tiny_imagenet").output
    assert _run("recipes", "none").exit_code == 2


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("training.epoch=3", "recipe.toml: training.epoch is unknown; known are epochs, steps"),
        ("rules.0.pattern=conv*", "rule 0 matches no Linear, Conv2d or ConvTranspose2d layer: 'conv*'"),
        ("rules.0.pad=false", "0: vector_dim must divide the 1 input channels (of one group), 4 does not; leave"),
        ("rules.0.codebook_size=4096", "0: codebook_size must be at most"),
        ("model.name=resnet", "model must be one of deit_tiny,"),
        ("model.options.width=3", "options of model "),
        ("model.checkpoint=none.pt", "checkpoint must be a file, not 'none.pt'"),
        ("model.checkpoint=model.py", "model.py cannot be read as weights"),
        ("model.checkpoint=nan.safetensors", "7.bias must be finite, 1 of 10 values are not"),
        ("model.name=file:model.py:infinite", ": activations must be finite, "),
        ("data.batch_size=65", "data.batch_size must be at most the 64 training samples, not 65"),
        ("data.folder=none", "none/train-images-idx3-ubyte.gz"),
        ("data={kind='text', files=['model.py'], batch_size=2}", "data.kind text needs a model that tokenizes"),
        ("data={kind='image-folder', folder='none', batch_size=2}", "none/train must be a folder"),
    ],
)
def test_bad_input_is_one_line(override: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = write_recipe(tmp_path)
    (tmp_path / "model.py").write_text(MODEL + FAULTY)
    monkeypatch.chdir(tmp_path)
    if "nan." in override:
        namespace: dict[str, object] = {}
        exec(MODEL, namespace)
        weights = namespace["build"]().state_dict()  # type: ignore[operator]
        weights["7.bias"][3] = torch.nan
        safetensors.torch.save_file(weights, "nan.safetensors")
    result = _run("train", recipe, "--set", override)
    assert result.exit_code == 2
    last = result.output.splitlines()[-1]
    assert last.startswith("error: ")
    assert text in last
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    assert _run("train", recipe, "--set", "training.steps=2").exit_code == 0
    result = _run("train", recipe, "--set", "training.steps=2", "--set", "optimizer.learning_rate=0.1")
    assert result.exit_code == 2
    assert result.output.splitlines()[-1].endswith(
        "checkpoint-000000002.safetensors is of another configuration: optimizer.learning_rate is 0.1, there 0.003"
    )
    model = tmp_path / "weights.safetensors"
    (tmp_path / "out" / WEIGHTS_NAME).rename(model)
    again = ["--fresh", "--set", "training.steps=2", "--set", "optimizer.learning_rate=0.1"]
    assert _run("train", recipe, *again).exit_code == 0


@pytest.mark.parametrize(("fault", "code"), [("signal", 128 + signal.SIGTERM), ("nan", 1)])
def test_what_stops_training(fault: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = write_recipe(tmp_path)
    (tmp_path / "model.py").write_text(MODEL + FAULTY)
    monkeypatch.setenv("FAULT", fault)
    result = _run("train", recipe, "--set", f"model.name=file:{tmp_path}/model.py:faulty")
    assert result.exit_code == code
    last = result.output.splitlines()[-1]
    if fault == "signal":
        assert last == "stopped after step 3; the same command goes on from there"
        assert (tmp_path / "out/checkpoints/checkpoint-000000003.safetensors").exists()
    else:
        assert last.startswith("error: the loss is nan at step 3: lower the learning rates")


def test_info_of_a_bad_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("text")
    for name, text in (("bad", "error: "), ("none", "must exist")):
        result = _run("info", tmp_path / name)
        assert result.exit_code == 2
        assert result.output.startswith("error: ")
        assert text in result.output
        assert len(result.output.splitlines()) == 1


def test_a_process_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    options = ["training.epochs=25", "training.checkpoint_steps=1"]
    whole = ["output.folder=" + str(tmp_path / "whole")]
    assert finish(ready(recipe, *options, *whole)) is not None
    command = [sys.executable, "-m", "ssvq", "train", str(recipe), *(f"--set={option}" for option in options)]
    process = subprocess.Popen(command, env=_environment(), stderr=subprocess.DEVNULL)
    files = CheckpointFolder(tmp_path / "out" / "checkpoints", configuration={})
    end = time.monotonic() + TIMEOUT
    while not files.files() and time.monotonic() < end:
        time.sleep(0.01)
    process.kill()
    assert process.wait(TIMEOUT) == -signal.SIGKILL
    run = ready(recipe, *options)
    assert 0 < run.trainer.step < 100
    assert finish(run) is not None
    assert _rows(tmp_path / "out") == _rows(tmp_path / "whole")
    for name in (CONTAINER_NAME, WEIGHTS_NAME):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, rules=SSVQ_RULE)
    options = ["model.options.dropout=0.0", "training.epochs=4", "distillation.weight=0.5"]
    run = ready(recipe, *options, f"output.folder={tmp_path / 'one'}")
    one = finish(run)
    assert one is not None
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "ssvq"]
    command += ["train", str(recipe), *(f"--set={option}" for option in options)]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("final") == 1  # one process speaks
    report = json.loads((tmp_path / "out" / RESULT_NAME).read_text())
    assert report["processes"] == 2
    for row, expected in zip(_rows(tmp_path / "out")[1:], _rows(tmp_path / "one")[1:], strict=True):
        numbers, expected_numbers = ([float(value or 0) for value in values] for values in (row, expected))
        assert numbers == pytest.approx(expected_numbers, rel=1e-3, abs=1e-3)
    weights, expected_weights = (safetensors.torch.load_file(tmp_path / name / WEIGHTS_NAME) for name in ("out", "one"))
    for name, value in expected_weights.items():
        # sums are rounded in another order, which a sign at zero can turn into a flip
        assert float(((weights[name] - value).abs() > 1e-3).float().mean()) < 1e-3, name
    # the run itself has compared the frozen signs of its processes at each checkpoint
    files = CheckpointFolder(tmp_path / "out" / "checkpoints", configuration={}).files()
    frozen = load_state(files[0])["state"]["trainer"]["freezer"]["layers"]
    freezer = run.trainer.freezer
    assert freezer is not None
    assert freezer.stats().total.frozen > 0
    for name, layer in freezer.state_dict()["layers"].items():
        assert float(((layer["flags"] ^ frozen[name]["flags"]) & FROZEN > 0).float().mean()) < 1e-3


def test_the_imagenet_recipe_trains_on_a_folder_of_images(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    for place in ("train/cat", "train/dog", "val/cat", "val/dog"):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        Image.fromarray(chance.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(folder / "image.png")
    torch.save({"model": deit_tiny().state_dict()}, tmp_path / "deit.pth")
    options = {
        "model.checkpoint": tmp_path / "deit.pth",
        "data.folder": tmp_path,
        "training.steps": 2,
        # as little work as there can be
        "data.batch_size": 1,
        "data.evaluation_batch_size": 1,
        "data.workers": 0,
        "calibration.batches": 1,
        "rules.0.iterations": 1,
        "rules.0.refine_rounds": 1,
        "rules.0.train_subvectors": 512,
    }
    settings = [f"--set={key}={value}" for key, value in options.items()]
    result = _run("train", "deit_tiny_imagenet", "--output", tmp_path / "out", *settings)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / RESULT_NAME).read_text())
    assert report["steps"] == 2
    assert report["signs"]["count"] == 12 * (3 + 1 + 4 + 4) * 192**2
    assert 1.9 < report["bits_per_weight"] < 2.1  # 1.5 in the blocks, 8 at both ends
