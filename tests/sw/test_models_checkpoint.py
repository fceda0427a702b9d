"""Checkpoints: what fits, and what is said of what does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from ssvq.models import CheckpointError, load_checkpoint
from ssvq.models.checkpoint import read_weights


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))


def stored(seed: int = 1) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return small().state_dict()


def test_every_way_it_is_stored(tmp_path: Path) -> None:
    weights = stored()
    parallel = {f"module.{name}": tensor for name, tensor in weights.items()}
    old = {name: tensor for name, tensor in weights.items() if not name.endswith("num_batches_tracked")}
    safetensors.torch.save_file(weights, tmp_path / "plain.safetensors")
    for number, content in enumerate((weights, {"model": weights, "epoch": 3}, {"state_dict": parallel}, old)):
        torch.save(content, tmp_path / f"{number}.pth")
    for file in sorted(tmp_path.iterdir()):
        model = small()
        load_checkpoint(model, file)
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, weights[name]), (file, name)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    weights = stored()
    del weights["0.bias"]
    weights["2.weight"] = torch.zeros(3, 2)
    for number in range(5):
        weights[f"extra.{number}"] = torch.zeros(1)
    torch.save(weights, tmp_path / "c.pth")
    model = small()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(model, tmp_path / "c.pth")
    assert str(caught.value) == (
        f"{tmp_path / 'c.pth'} must have the weights of Sequential: missing 0.bias; "
        "unexpected extra.0, extra.1, extra.2, ... (5 in all); of another shape 2.weight (3, 2) for (2, 2)"
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


class Dangerous:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("should-not-be-made",)


def test_no_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Dangerous()}, tmp_path / "c.pth")
    with pytest.raises(CheckpointError, match=r"c\.pth cannot be read as weights: Weights only load failed"):
        read_weights(tmp_path / "c.pth")
    assert not (tmp_path / "should-not-be-made").exists()


def test_refuses(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"checkpoint must be a file, not '.*none\.pth'"):
        read_weights(tmp_path / "none.pth")
    for name in ("c.pth", "c.safetensors"):
        (tmp_path / name).write_bytes(b"\x10nothing of the kind")
        with pytest.raises(CheckpointError, match=rf"{name} cannot be read as weights: ."):
            read_weights(tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match=r"list\.pth must have tensors by name, not list"):
        read_weights(tmp_path / "list.pth")
    torch.save({"epoch": 3}, tmp_path / "number.pth")
    with pytest.raises(CheckpointError, match=r"number\.pth must have tensors by name, not int at 'epoch'"):
        read_weights(tmp_path / "number.pth")
