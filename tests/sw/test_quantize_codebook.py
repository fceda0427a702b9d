"""Training of codebooks and the problem it solves: samples, scales, what does not count."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ssvq.quantize import QuantizeConfig, WeightFormat, codebook, encode
from ssvq.quantize.codebook import train
from ssvq.quantize.kmeans import Subvectors, kmeans
from ssvq.quantize.target import Target


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def config(size: int = 16, dim: int = 8, **more: int) -> QuantizeConfig:
    return QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=size, vector_dim=dim, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "count"),
    [({}, 16 * 512), ({"train_subvectors": 1000}, 1000), ({"train_subvectors": 10}, 16 * 32), ({"size": 256}, 16384)],
)
def test_kmeans_runs_on_a_sample(monkeypatch: pytest.MonkeyPatch, settings: dict[str, int], count: int) -> None:
    seen = []

    def count_points(points: Subvectors, *sizes: int, **more: Any) -> Tensor:
        seen.append(points.count)
        return kmeans(points, *sizes, **more)

    monkeypatch.setattr(codebook, "kmeans", count_points)
    encode(torch.randn(256, 512, generator=generator()), config(iterations=1, refine_rounds=1, **settings))
    assert seen == [count]


def test_an_element_that_stopped_counting_beyond_zero_is_no_magnitude(monkeypatch: pytest.MonkeyPatch) -> None:
    """All subvectors of the second codeword are tails, which leaves its second element where it was."""
    monkeypatch.setattr(codebook, "kmeans", lambda *_a, **_kw: torch.tensor([[2.0, 2.0], [0.1, -3.0]]))
    weight = torch.tensor([[4.0, 4.0, 0.1]]).expand(4, 3)
    words, _ = train(Target.make(weight, 2, WeightFormat.SSVQ), config(2, 2))
    assert words.tolist() == [[127, 127], [3, 0]]


def test_scales_start_at_what_counts() -> None:
    weight = torch.tensor([[3.0, 4.0, 100.0], [1.0, 1.0, 7.0], [0.0, 0.0, 0.0]])
    mask = torch.tensor([True, True, False, False]).expand(3, 1, 4)
    target = Target.make(weight, 4, WeightFormat.MVQ, mask=mask)
    torch.testing.assert_close(target.first_scale("channel"), torch.tensor([12.5**0.5, 1.0, 0.0]))
    torch.testing.assert_close(target.first_scale("layer"), torch.tensor([(27 / 6) ** 0.5]))
    plain = Target.make(weight, 4, WeightFormat.VQ)
    torch.testing.assert_close(plain.first_scale("channel"), weight.square().mean(1).sqrt())


def test_what_does_not_count_is_zero_in_the_points() -> None:
    weight = torch.tensor([[3.0, -4.0, 100.0]])
    mask = torch.tensor([True, True, False, False]).expand(1, 1, 4)
    points = Target.make(weight, 4, WeightFormat.MVQ, mask=mask).points(torch.ones(1))
    assert points.values.tolist() == [[3, -4, 0, 0]]
    assert points.elements is not None
    assert points.elements.tolist() == [[1, 1, 0, 0]]
    assert Target.make(torch.ones(2, 4), 4, WeightFormat.VQ).points(torch.ones(1)).elements is None


@pytest.mark.parametrize("kind", ["channel", "layer"])
@pytest.mark.parametrize("channels", [16, 13])
@pytest.mark.parametrize("important", [False, True])
def test_the_fitted_scale_is_that_of_least_squares(kind: str, channels: int, important: bool) -> None:
    weight = torch.randn(5, channels, 2, 1, generator=generator()) * torch.logspace(-2, 2, 5)[:, None, None, None]
    importance = torch.rand(channels, generator=generator(1)) if important else None
    target = Target.make(weight, 4, WeightFormat.VQ, importance=importance)
    scale = target.first_scale(kind)  # type: ignore[arg-type]
    points = target.points(scale)
    words = torch.randn(8, 4, generator=generator(2))
    match = points.nearest(words)
    fitted = target.fitted_scale(points, match, words, scale)
    decoded = words[match.indices].view(5, 2, -1)[..., :channels].double()
    weighted = decoded * (1 if importance is None else importance)
    over = (1, 2) if kind == "channel" else (0, 1, 2)
    wanted = (target.rows * weighted).sum(over) / (decoded * weighted).sum(over)
    torch.testing.assert_close(fitted, wanted.view(-1).float(), rtol=1e-4, atol=0)


def test_a_scale_that_would_not_be_positive_stays() -> None:
    target = Target.make(torch.ones(2, 4), 4, WeightFormat.VQ)
    scale = torch.tensor([1.0, 0.0])
    points = target.points(scale)
    for words in (torch.zeros(1, 4), -torch.ones(1, 4)):
        assert torch.equal(target.fitted_scale(points, points.nearest(words), words, scale), scale)


def test_points_count_with_the_square_of_their_scale() -> None:
    points = Target.make(torch.ones(2, 8), 4, WeightFormat.VQ).points(torch.tensor([2.0, 4.0]))
    assert isinstance(points, Subvectors)
    assert points.weights.tolist() == [0.25, 0.25, 1, 1]
    assert points.values.tolist() == [[0.5] * 4] * 2 + [[0.25] * 4] * 2
