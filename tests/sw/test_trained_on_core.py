"""From a recipe to the core: what `ssvq train` writes, `ssvq compile` takes, and the numbers are those of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from command_models import run
from tiny_training import ready, write_recipe

from ssvq.data.fashion_mnist import load_fashion_mnist, normalised
from ssvq.network.files.network_file import load_network
from ssvq.train.deploy import deployed

INT8_FIRST = """
[[rules]]
pattern = "0"
format = "int8"

[[rules]]
pattern = "*"
format = "ssvq"
codebook_size = 4
vector_dim = 4
"""


@pytest.mark.parametrize("norm", [False, True])
def test_a_trained_model_on_the_golden_model(norm: bool, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, rules=INT8_FIRST)
    option = f"model.options.norm={str(norm).lower()}"
    assert run("train", recipe, "--set", option).exit_code == 0
    images = normalised(load_fashion_mnist("test", folder=tmp_path / "data")[0])
    np.save(tmp_path / "images.npy", images.numpy())
    model = [f"file:{tmp_path}/model.py:build", "--input-shape", "1,1,28,28", "--option", option.rpartition(".")[2]]
    weights = ["--layers", tmp_path / "out/model.ssvq", "--checkpoint", tmp_path / "out/model.safetensors"]
    file = tmp_path / "net.ssvqnet"
    result = run("compile", *model, *weights, "--samples", tmp_path / "images.npy", "--config", "tiny", "-o", file)
    assert result.exit_code == 0, result.output
    line = "ranges of what 3 layers read and write are those of their training"
    assert f"{line}\n" in result.output
    bare = run("compile", *model, *weights[:2], "--config", "tiny", "-o", tmp_path / "bare.ssvqnet")
    assert f"{line}; --checkpoint would give the model what else was trained" in bare.output
    network = load_network(file).network
    found = torch.cat([network.run_reference((image[None],))["output"] for image in images])
    integers = deployed(ready(recipe, option, brief=True).trainer.model)
    with torch.no_grad():
        expected = integers(images)
    assert len({*found.argmax(1).tolist()}) > 1
    assert torch.equal(
        found, expected
    )  # nothing is between the layers but a clamp, so every integer is that of training
