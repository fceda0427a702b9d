"""Fashion-MNIST: files that are made here, and the real ones where they can be had."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest
import torch
from optional_data import loaded_or_skip

from ssvq.data import DataFileError
from ssvq.data.fashion_mnist import BLACK, augmented, load_fashion_mnist, normalised
from ssvq.data.idx import read_idx


def idx(shape: tuple[int, ...], content: bytes, *, kind: int = 8) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in shape)
    return gzip.compress(bytes((0, 0, kind, len(shape))) + sizes + content, mtime=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images, the second a ramp, and their labels."""
    pixels = bytes(784) + bytes(number % 256 for number in range(784))
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(idx((2, 28, 28), pixels))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(idx((2,), bytes((9, 3))))
    return tmp_path


def test_a_folder(folder: Path) -> None:
    images, labels = load_fashion_mnist("train", folder=folder)
    assert images.shape == (2, 1, 28, 28)
    assert images.dtype == torch.uint8
    assert torch.equal(images[1].flatten(), torch.arange(784).remainder(256).byte())
    assert labels.dtype == torch.int64
    assert labels.tolist() == [9, 3]
    with pytest.raises(DataFileError, match=r"t10k-images-idx3-ubyte\.gz cannot be read as gzip: .*No such file"):
        load_fashion_mnist("test", folder=folder)
    with pytest.raises(ValueError, match="split must be 'train' or 'test', not 'val'"):
        load_fashion_mnist("val", folder=folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte", idx((2, 28, 27), bytes(1512)), "must have images of 28 x 28, not 28 x 27"),
        ("train-labels-idx1-ubyte", idx((3,), bytes(3)), "must have 2 labels, not 3"),
        ("train-labels-idx1-ubyte", idx((2,), bytes((1, 10))), r"must have labels of 0\.\.9, not 10"),
    ],
)
def test_files_that_do_not_fit(folder: Path, name: str, content: bytes, message: str) -> None:
    (folder / f"{name}.gz").write_bytes(content)
    with pytest.raises(DataFileError, match=rf"{name}\.gz {message}"):
        load_fashion_mnist("train", folder=folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"plain", "cannot be read as gzip: Not a gzipped file"),
        (idx((2, 2), bytes(4))[:-6], "cannot be read as gzip: Compressed file ended"),
        (idx((2, 2), bytes(4), kind=13), "must start with 00000802, not 00000d02"),
        (idx((4,), bytes(4)), "must start with 00000802, not 00000801"),
        (gzip.compress(b"", mtime=0), "must start with 00000802, not $"),
        (gzip.compress(bytes((0, 0, 8, 2, 0, 0)), mtime=0), "must have a header of 12 bytes, not 6"),
        (idx((2, 2), bytes(3)), r"must have 16 bytes for the shape \[2, 2\], not 15"),
        (idx((2, 2), bytes(5)), r"must have 16 bytes for the shape \[2, 2\], not 17"),
    ],
)
def test_malformed_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=rf"file\.gz {message}"):
        read_idx(path, dimensions=2)


def test_augmented_images_are_moved_and_mirrored() -> None:
    """Each is one of the ten shifts and mirrors, and in many all of them come."""
    image = torch.arange(1.0, 7.0).reshape(1, 1, 2, 3)
    padded = torch.full((4, 5), BLACK)
    padded[1:3, 1:4] = image[0, 0]
    expected = {
        tuple((part.flip(1) if mirror else part).flatten().tolist())
        for mirror in (False, True)
        for part in (padded[row : row + 2, column : column + 3] for row in range(3) for column in range(3))
    }
    generator = torch.Generator().manual_seed(1)
    found = augmented(image.repeat(400, 1, 1, 1), generator=generator, shift=1)
    assert {tuple(each.flatten().tolist()) for each in found} == expected
    again = augmented(image.repeat(400, 1, 1, 1), generator=generator.manual_seed(1), shift=1)
    assert torch.equal(found, again)
    with pytest.raises(ValueError, match="shift must be at least 0, not -1"):
        augmented(image, generator=generator, shift=-1)


def test_the_real_set() -> None:
    images, labels = loaded_or_skip(lambda: load_fashion_mnist("test"))
    assert images.shape == (10_000, 1, 28, 28)
    assert labels.bincount().tolist() == [1000] * 10
    assert labels[:5].tolist() == [9, 2, 1, 1, 6]
    pixels = normalised(images)
    assert pixels.mean() == pytest.approx(0, abs=0.01)
    assert pixels.std() == pytest.approx(1, abs=0.01)
    assert pixels.min() == pytest.approx(BLACK)


def test_a_short_file_is_not_decompressed_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssvq.data.idx.BYTES_MAX", 1 << 20)
    path = tmp_path / "large.gz"
    path.write_bytes(idx((64 << 20,), bytes(64 << 20)))
    assert path.stat().st_size < 1 << 17
    tracemalloc.start()
    try:
        with pytest.raises(DataFileError, match=r"large\.gz must have at most 1048576 bytes when it is decompressed"):
            read_idx(path, dimensions=1)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
