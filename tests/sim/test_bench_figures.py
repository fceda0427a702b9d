"""The figures: what is on them, and the same bytes each time."""

from __future__ import annotations

from pathlib import Path

from bench_points import sweep_points

from ssvq_sim.bench.curves import PREFETCH, ROOFLINES, Curve
from ssvq_sim.bench.figures import draw

CURVES = [
    Curve(config="base", kind=kind, bytes_per_cycle=(0.5, 1.0, 8.0), speed_up=(4.7, factor, 1.0))
    for kind, factor in ((ROOFLINES, 4.2), (PREFETCH, 4.65))
]
NAMES = {"roofline.svg", "roofline.png", "speed-up.svg", "speed-up.png"}


def test_figures(tmp_path: Path) -> None:
    assert {path.name for path in draw(sweep_points(), CURVES, tmp_path)} == NAMES
    roofline, speed_up = ((tmp_path / f"{name}.svg").read_text() for name in ("roofline", "speed-up"))
    for text in ("array: 1024 MACs per cycle", "8 B/cycle", "ssvq k=256", "attention: no weight stream"):
        assert text in roofline
    for text in ("speed-up over int8 weights", "4.5", "measured, images in a row"):
        assert text in speed_up
    for name in ("roofline", "speed-up"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_same_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        draw(sweep_points(), CURVES, folder)
    for name in NAMES:
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_only_what_was_measured(tmp_path: Path) -> None:
    points = [p for p in sweep_points() if p.job != "deit-tiny"]
    assert [path.name for path in draw(points, [], tmp_path)] == ["roofline.svg", "roofline.png"]
    assert draw([], [], tmp_path) == []
