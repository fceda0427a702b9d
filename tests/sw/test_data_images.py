"""Views of images, and folders of them."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from ssvq.data import DataFileError
from ssvq.data.image_folder import ImageFolder
from ssvq.data.random_source import RandomSource
from ssvq.data.transforms import EvaluationView, TrainingView, read_image

PLAIN: dict[str, tuple[float, ...]] = {"mean": (0.0, 0.0, 0.0), "deviation": (1.0, 1.0, 1.0)}


def position_image(width: int, height: int) -> Image.Image:
    """An image whose red is the column and green the row."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[:, :, 0] = np.arange(width)
    pixels[:, :, 1] = np.arange(height)[:, None]
    return Image.fromarray(pixels)


def test_evaluation_sees_the_middle() -> None:
    view = EvaluationView(size=56, crop=0.875, **PLAIN)(position_image(100, 64)) * 255
    assert view.shape == (3, 56, 56)
    # the shorter side has its final size already, so that nothing is resampled
    assert torch.equal(view[0, 0], torch.arange(22.0, 78.0))
    assert torch.equal(view[1, :, 0], torch.arange(4.0, 60.0))
    tall = EvaluationView(size=28, crop=0.875, **PLAIN)(position_image(64, 201)) * 255
    torch.testing.assert_close(tall[0, 5, 14], torch.tensor(32.5), atol=1.0, rtol=0)
    torch.testing.assert_close(tall[1, 14, 5], torch.tensor(101.0), atol=1.0, rtol=0)


def test_normalised() -> None:
    view = EvaluationView(size=8)(Image.new("RGB", (9, 9), (255, 0, 51)))
    expected = torch.tensor([0.515 / 0.229, -0.456 / 0.224, -0.206 / 0.225])
    torch.testing.assert_close(view, expected[:, None, None].expand(3, 8, 8))


def test_training_sees_random_parts() -> None:
    """The places, areas, shapes and mirrors are spread over what is allowed."""
    image = position_image(200, 120)
    view = TrainingView(size=32, area=(0.2, 0.8), aspect=(0.5, 2.0), **PLAIN)
    areas, ratios, mirrored = [], [], 0
    for number in range(300):
        parts = view(image, random.Random(number)) * 255
        assert parts.shape == (3, 32, 32)
        across = float(parts[0, 0, 31] - parts[0, 0, 0]) * 32 / 31
        down = float(parts[1, 31, 0] - parts[1, 0, 0]) * 32 / 31
        mirrored += across < 0
        areas.append(abs(across) * down / (200 * 120))
        ratios.append(abs(across) / down)
    assert 0.17 < min(areas) < 0.25 < 0.7 < max(areas) < 0.85
    assert 0.45 < min(ratios) < 0.6 < 1.7 < max(ratios) < 2.2
    assert 120 < mirrored < 180
    assert torch.equal(view(image, random.Random(3)), view(image, random.Random(3)))


def test_an_image_too_long_for_any_part() -> None:
    parts = TrainingView(size=8, area=(1.0, 1.0), **PLAIN)(position_image(250, 10), random.Random(1)) * 255
    assert float(parts[0].min()) > 110
    assert float(parts[0].max()) < 140
    TrainingView(size=8)(Image.new("RGB", (1, 300)), random.Random(1))


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (EvaluationView, {"size": 0}, "size must be at least 1, not 0"),
        (EvaluationView, {"crop": 1.1}, "crop must be over 0 and at most 1, not 1.1"),
        (TrainingView, {"size": -1}, "size must be at least 1, not -1"),
        (TrainingView, {"area": (0.5, 0.4)}, r"area must be a range over 0, at most 1, not \(0.5, 0.4\)"),
        (TrainingView, {"aspect": (0.0, 1.0)}, r"aspect must be a range over 0, not \(0.0, 1.0\)"),
    ],
)
def test_views_refuse(kind: type[EvaluationView | TrainingView], arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        kind(**arguments)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes; `b` has an image deeper down, and files that are none."""
    for name, value in {"b/x/2.PNG": 20, "b/1.png": 10, "a/1.jpeg": 0, "c/9.webp": 90, "c/10.bmp": 100}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((30, 40), value, dtype=np.uint8)).save(path)
    (tmp_path / "b/notes.txt").write_text("x")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "labels.csv").write_text("x")
    return tmp_path


def test_a_folder(root: Path) -> None:
    images = ImageFolder(root, transform=EvaluationView(size=8, **PLAIN))
    assert images.classes == ("a", "b", "c")
    assert [path.relative_to(root).as_posix() for path in images.files] == [
        *("a/1.jpeg", "b/1.png", "b/x/2.PNG", "c/10.bmp", "c/9.webp")
    ]
    assert len(images) == 5
    assert [label for _, label in images] == [0, 1, 1, 2, 2]
    torch.testing.assert_close(images[1][0], torch.full((3, 8, 8), 10 / 255))
    assert [label for _, label in ImageFolder(root, transform=images.transform, classes="cab")] == [0, 0, 1, 2, 2]


def noise(root: Path) -> Path:
    pixels = np.random.default_rng(1).integers(0, 256, (8, 40, 40, 3), dtype=np.uint8)
    (root / "a").mkdir()
    for number, each in enumerate(pixels):
        Image.fromarray(each).save(root / f"a/{number}.png")
    return root


def views(images: ImageFolder, workers: int) -> Tensor:
    return torch.cat([view for view, _ in DataLoader(images, batch_size=3, num_workers=workers)])


def test_views_depend_on_seed_epoch_and_number_only(tmp_path: Path) -> None:
    root = noise(tmp_path)
    images = ImageFolder(root, transform=TrainingView(size=8))
    images.set_epoch(3)
    third = views(images, workers=0)
    images.set_epoch(4)
    assert not torch.equal(views(images, workers=0), third)
    images.set_epoch(3)
    assert torch.equal(views(images, workers=0), third)
    resumed = ImageFolder(root, transform=TrainingView(size=8))
    resumed.set_epoch(3)
    assert torch.equal(resumed[5][0], third[5])
    assert torch.equal(resumed[-3][0], third[5])
    assert not torch.equal(ImageFolder(root, transform=TrainingView(size=8), seed=1)[5][0], third[5])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # how torch starts workers
def test_workers_that_stay_see_the_epoch(tmp_path: Path) -> None:
    images = ImageFolder(noise(tmp_path), transform=TrainingView(size=8))
    loader = DataLoader(images, batch_size=8, num_workers=1, persistent_workers=True)
    for epoch in (0, 5):
        images.set_epoch(epoch)
        (found,) = (view for view, _ in loader)
        assert torch.equal(found, views(images, workers=0))


def test_random_numbers_are_the_same_everywhere() -> None:
    source = RandomSource(7)
    source.epoch = 2
    assert source.epoch == 2
    assert source.sample(11).random() == pytest.approx(0.6492124164682357)


def test_folders_that_are_wrong(root: Path) -> None:
    view = EvaluationView(size=8)
    with pytest.raises(DataFileError, match=r"none must be a folder with a folder for each class"):
        ImageFolder(root / "none", transform=view)
    with pytest.raises(DataFileError, match=r"x must have a folder for each class, and has none"):
        ImageFolder(root / "b/x", transform=view)
    with pytest.raises(DataFileError, match=r"/c must be the folder of one of the 2 classes"):
        ImageFolder(root, transform=view, classes=["a", "b"])
    with pytest.raises(DataFileError, match=r"/d must have at least one image \(\.bmp, \.gif, "):
        ImageFolder(root, transform=view, classes=["a", "b", "c", "d"])
    with pytest.raises(ValueError, match=r"classes must differ, not a, a"):
        ImageFolder(root, transform=view, classes=["a", "a"])
    (root / "d").mkdir()
    with pytest.raises(DataFileError, match=r"/d must have at least one image"):
        ImageFolder(root, transform=view)


def test_unreadable_images_are_named(root: Path) -> None:
    whole = (root / "c/9.webp").read_bytes()
    png = (root / "b/1.png").read_bytes()
    for content in (b"", b"text", whole[:-8], png[:40], png[:60], png.replace(b"IHDR", b"IxDR")):
        (root / "c/9.webp").write_bytes(content)
        with pytest.raises(DataFileError, match=r"9\.webp cannot be read as an image: ."):
            ImageFolder(root, transform=EvaluationView(size=8))[4]
    with pytest.raises(DataFileError, match=r"none\.png cannot be read as an image: .*No such file"):
        read_image(root / "none.png")


@pytest.mark.parametrize("size", ["8193 8192", "20000 20000", "1 99999999999"])
def test_images_of_too_many_pixels_are_refused(size: str, tmp_path: Path) -> None:
    """Before room is made for them, which a header alone asks for."""
    (tmp_path / "large.ppm").write_bytes(f"P6 {size} 255\n".encode())
    tracemalloc.start()
    try:
        with pytest.raises(DataFileError, match=r"large\.ppm cannot be read as an image: ."):
            read_image(tmp_path / "large.ppm")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_the_limit_of_pixels_is_named(tmp_path: Path) -> None:
    (tmp_path / "large.ppm").write_bytes(b"P6 8193 8192 255\n")
    with pytest.raises(DataFileError, match="it must be at most 67108864 pixels, not 8193 x 8192"):
        read_image(tmp_path / "large.ppm")
