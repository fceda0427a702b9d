"""Checkpoints: what fits, and what is said of what does not."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from ssvq.models import CheckpointError, load_checkpoint
from ssvq.models.checkpoint import read_weights

PACKED = zipfile.ZIP_DEFLATED


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


def test_files_before_pytorch_1_6_are_refused_with_advice(tmp_path: Path) -> None:
    torch.save(stored(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"old\.pth cannot be read as weights: it must be .*torch\.load\(FILE"):
        read_weights(tmp_path / "old.pth")


def test_parts_must_not_be_compressed(tmp_path: Path) -> None:
    torch.save(stored(), tmp_path / "c.pth")
    with zipfile.ZipFile(tmp_path / "c.pth") as plain, zipfile.ZipFile(tmp_path / "packed.pth", "w", PACKED) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(
        CheckpointError, match=r"packed\.pth must have its parts as they are, not compressed as 'c/data"
    ):
        read_weights(tmp_path / "packed.pth")


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ((2, 0xFFFF_FFF0), r"must have its parts as they are, not 4294967280 bytes in 2 as"),
        ((1 << 20, 1 << 20), r"must have all of its parts, not 10\d{5} bytes in a file of"),
    ],
    ids=["grows", "more than there is"],
)
def test_a_part_must_not_be_larger_than_the_file(sizes: tuple[int, int], text: str, tmp_path: Path) -> None:
    path = tmp_path / "more.pth"
    torch.save(stored(), path)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")  # of the central directory, where sizes are at 20 and 24
    data[entry + 20 : entry + 28] = b"".join(size.to_bytes(4, "little") for size in sizes)
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=text):
        read_weights(path)


@pytest.mark.parametrize("change", [(b"K\x04\x86", b"M\xff\xff\x86"), (b"K\x04K\x01\x86", b"K\x04K\x7f\x86")])
def test_a_file_must_have_all_numbers_that_it_speaks_of(change: tuple[bytes, bytes], tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2, 4)}, tmp_path / "c.pth")
    with zipfile.ZipFile(tmp_path / "c.pth") as plain, zipfile.ZipFile(tmp_path / "more.pth", "w") as more:
        for name in plain.namelist():
            content = plain.read(name)
            assert change[0] in content or not name.endswith("data.pkl")
            more.writestr(name, content.replace(*change))
    with pytest.raises(CheckpointError, match=r"more\.pth cannot be read as weights: Trying to resize storage"):
        read_weights(tmp_path / "more.pth")


def test_a_tensor_that_repeats_one_number_is_no_weight(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(1 << 40)}, tmp_path / "c.pth")
    with pytest.raises(CheckpointError, match=r"must have all numbers of its tensors, not a of \(1099511627776,\)"):
        read_weights(tmp_path / "c.pth")


def test_weights_do_not_change_with_their_file(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(3)}, tmp_path / "c.pth")
    weights = read_weights(tmp_path / "c.pth")
    content = bytearray((tmp_path / "c.pth").read_bytes())
    with (tmp_path / "c.pth").open("r+b") as file:
        file.write(bytes(len(content)))
    assert torch.equal(weights["a"], torch.ones(3))
