"""Photos to distil on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from optional_data import loaded_or_skip
from PIL import Image

from ssvq.data import DataFileError
from ssvq.data.photos import BACKGROUND, LONGEST_SIDE, SOURCES, Photos, photo_files
from ssvq.data.transforms import TrainingView

PLAIN = TrainingView(size=16, area=(0.5, 1.0), mean=(0.0, 0.0, 0.0), deviation=(1.0, 1.0, 1.0))


def test_installed_photos() -> None:
    files = loaded_or_skip(lambda: photo_files(["imagenet", "cifar", "hopper"]))
    assert len(files) == 61
    assert sum(SOURCES[name].photos for name in ("imagenet", "cifar", "hopper")) == 61
    photos = Photos(files[-2:], view=TrainingView(size=64))
    assert photos[0].shape == (3, 64, 64)
    assert photos[0].std() > 0.3


def test_a_debian_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSVQ_DATA", str(tmp_path))
    stamps = tmp_path / "tuxpaint-stamps-default/usr/share/tuxpaint/stamps"
    for name in ("animals/birds/b.png", "animals/a.png", "food/fruit/cartoon/c.png", "symbols/s.png", "animals/a.txt"):
        (stamps / name).parent.mkdir(parents=True, exist_ok=True)
        (stamps / name).touch()
    files = photo_files(["stamps"])
    assert [file.relative_to(stamps).as_posix() for file in files] == ["animals/a.png", "animals/birds/b.png"]
    (tmp_path / "mate-backgrounds").mkdir()
    with pytest.raises(DataFileError, match=r"mate-backgrounds must have files usr/share/.*\*\.jpg, and has none"):
        photo_files(["mate"])
    with pytest.raises(ValueError, match=r"sources must be of imagenet, cifar, .*, not 'lena'"):
        photo_files(["lena"])


def saved(path: Path, mode: str, size: tuple[int, int], colour: tuple[int, ...]) -> Path:
    Image.new(mode, size, colour).save(path)
    return path


def test_views(tmp_path: Path) -> None:
    green = saved(tmp_path / "green.jpg", "RGB", (2000, 1000), (0, 128, 0))
    pixels = torch.rand(3, 40, 40).mul(255).byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    photos = Photos([green, tmp_path / "noise.png"], view=PLAIN, views=3)
    assert len(photos) == 6
    assert max(photos.images[0].size) <= LONGEST_SIDE
    torch.testing.assert_close(
        photos[4], torch.tensor([0.0, 128 / 255, 0.0])[:, None, None].expand(3, 16, 16), atol=0.01, rtol=0
    )
    first = [photos[number] for number in (1, 3, 5)]
    assert not torch.equal(first[0], first[1])
    photos.set_epoch(1)
    assert not torch.equal(first[0], photos[1])
    photos.set_epoch(0)
    assert all(torch.equal(view, photos[number]) for view, number in zip(first, (1, 3, 5), strict=True))
    with pytest.raises(IndexError, match=r"index must be in 0\.\.5, not 6"):
        photos[6]


def test_what_is_cut_out_lies_on_another(tmp_path: Path) -> None:
    half = saved(tmp_path / "half.png", "RGBA", (40, 40), (255, 0, 0, 102))
    blue = saved(tmp_path / "blue.png", "RGB", (40, 40), (0, 0, 255))
    torch.testing.assert_close(
        Photos([half, blue], view=PLAIN)[0], torch.tensor([0.4, 0.0, 0.6])[:, None, None].expand(3, 16, 16)
    )
    alone = Photos([half], view=PLAIN)[0]
    expected = torch.tensor([0.4, 0.0, 0.0]) + 0.6 * torch.tensor(BACKGROUND) / 255
    torch.testing.assert_close(alone, expected[:, None, None].expand(3, 16, 16), atol=0.003, rtol=0)


def test_refuses(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="files must not be empty"):
        Photos([], view=PLAIN)
    blue = saved(tmp_path / "blue.png", "RGB", (4, 4), (0, 0, 255))
    with pytest.raises(ValueError, match="views must be at least 1, not 0"):
        Photos([blue], view=PLAIN, views=0)
    blue.write_bytes(b"text")
    with pytest.raises(DataFileError, match=r"blue\.png cannot be read as an image: ."):
        Photos([blue], view=PLAIN)
