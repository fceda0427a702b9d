"""Samples from files: what is refused, and that a header brings about nothing that the file does not have."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from ssvq.network.files.samples import read_samples
from ssvq.network.tensor_type import TensorType

INPUTS = {"x": TensorType((1, 3, 4), torch.float32)}
IDS = {"ids": TensorType((1, 5), torch.int32)}


def npy(header: str, data: bytes = bytes(48)) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def header(shape: str, descr: str = "'<f4'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


def test_samples_come_back(tmp_path: Path) -> None:
    x = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    np.save(tmp_path / "x.npy", np.asfortranarray(x))
    samples = read_samples(tmp_path / "x.npy", INPUTS, "")
    assert [sample.tolist() for (sample,) in samples] == [[part.tolist()] for part in x]
    assert samples[0][0].dtype is torch.float32


@pytest.mark.parametrize(
    "content",
    [
        npy(header("(1, 3, 5)")),
        npy(header("(1.5,)")),
        npy(header("(1 << 70,)")),
        npy(header(f"({1 << 70},)")),
        npy(header("(1,")),
        npy(header("(1, 3, 4)", "'O'")),
        npy(header("(1, 3, 4)", "[]")),
        npy("[" * 3000),
        npy("{}"),
        npy(header("(-1, 3, 4)")),
        b"",
        b"\x93NUMPY",
    ],
)
def test_bad_arrays_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.npy: .") as caught:
        read_samples(path, INPUTS, "")
    assert type(caught.value) is ValueError


def test_a_header_alone_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(npy(header("(13000000, 3, 4)")))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"x\.npy: mmap length is greater than file size"):
            read_samples(path, INPUTS, "")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_the_length_of_a_header_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x93NUMPY\x02\x00" + (600 << 20).to_bytes(4, "little") + bytes(100))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"x\.npy: its header must be within the 112 bytes of the file"):
            read_samples(path, INPUTS, "")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_an_archive_is_no_array(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.savez(file, x=np.zeros((1, 3, 4)))
    (tmp_path / "x.npy").write_bytes(file.getvalue())
    with pytest.raises(ValueError, match=r"x\.npy: it must have one array, not an archive of several"):
        read_samples(tmp_path / "x.npy", INPUTS, "")


@pytest.mark.parametrize(
    ("array", "inputs", "text"),
    [
        (np.full((3, 4), 1e300), INPUTS, "x must have numbers that float32 has, not float64's largest"),
        (np.full((3, 4), -np.inf), INPUTS, "x must be finite, 12 numbers are not"),
        (np.full(5, 1 << 31), IDS, "ids must have numbers that int32 has, not int64's largest"),
        (np.full(5, 1 << 63, dtype=np.uint64), IDS, "ids must have numbers that int32 has, not uint64's largest"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(
    array: np.ndarray, inputs: dict[str, TensorType], text: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ValueError, match=text):
        read_samples(tmp_path / "x.npy", inputs, "")
