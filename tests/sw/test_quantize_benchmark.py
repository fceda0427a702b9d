"""The benchmark of codebook training: what is compared, and the command."""

from __future__ import annotations

import io

import pytest
import torch
from rich.console import Console

from ssvq.quantize import QuantizeConfig, WeightFormat, _faiss, benchmark, encode

CONFIG = QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=4, vector_dim=8)


def small_weights(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(16, 64, generator=generator), torch.randn(96, 48, generator=generator)]


def test_layers_of_a_deit_tiny() -> None:
    weights = benchmark.deit_tiny_weights(0)
    assert len(weights) == 50
    assert [tuple(w.shape) for w in weights[:5]] == [(192, 768), (576, 192), (192, 192), (768, 192), (192, 768)]
    assert weights[-1].shape == (1000, 192)
    assert all(torch.equal(a, b) for a, b in zip(weights, benchmark.deit_tiny_weights(0), strict=True))


def test_what_is_measured() -> None:
    weights = small_weights(0)
    methods = benchmark.measure(weights, CONFIG, 2)
    assert [method.name for method in methods] == ["ssvq", "ssvq, quick", "faiss", "faiss, all"]
    for method in methods:
        assert len(method.seconds) == len(method.errors) == 2
        assert min(method.seconds) <= method.median <= max(method.seconds)
        assert 0.2 < method.mean_errors[0] < 0.6
    layers = [encode(weight, CONFIG) for weight in weights]
    error = sum(float((w - layer.decode()).square().sum()) for w, layer in zip(weights, layers, strict=True))
    wanted = error / sum(float(w.square().sum()) for w in weights)
    assert methods[0].errors[0][0] == pytest.approx(wanted, rel=1e-5)


def test_faiss_gets_the_normalised_subvectors(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def remember(points: object, size: int, *, points_per_codeword: int, seed: int) -> object:
        seen.append((points, points_per_codeword, seed))
        return train(points, size, points_per_codeword=points_per_codeword, seed=seed)  # type: ignore[arg-type]

    train = _faiss.train_kmeans
    monkeypatch.setattr(_faiss, "train_kmeans", remember)
    weight = small_weights(0)[0]
    benchmark.measure([weight], CONFIG, 1)
    wanted = weight.abs() / weight.square().mean(1, keepdim=True).sqrt()
    assert [(points, seed) for _, points, seed in seen] == [(256, 0), (1 << 30, 0)] * 2
    for points, _, _ in seen:
        torch.testing.assert_close(torch.from_numpy(points), wanted.view(-1, 8))


@pytest.mark.parametrize(("limit", "code"), [(1e9, 0), (1e-9, 1)])
def test_the_command(monkeypatch: pytest.MonkeyPatch, limit: float, code: int) -> None:
    monkeypatch.setattr(benchmark, "deit_tiny_weights", small_weights)
    monkeypatch.setattr(benchmark, "LIMIT", limit)
    before = torch.get_num_threads(), _faiss.get_threads()
    text = io.StringIO()
    arguments = ["--repetitions", "3", "--codebook-size", "4", "--threads", "1"]
    try:
        found = benchmark.main(arguments, Console(file=text, width=120))
        assert (torch.get_num_threads(), _faiss.get_threads()) == (1, 1)
    finally:
        torch.set_num_threads(before[0])
        _faiss.set_threads(before[1])
    assert "Codebooks of a DeiT-tiny, 4 codewords of 8, threads: 1" in text.getvalue()
    for name in ("ssvq", "ssvq, quick", "faiss", "faiss, all"):
        assert f"│ {name} " in text.getvalue()
    assert "of the time of faiss on all points" in text.getvalue()
    assert found == code


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--repetitions", "0"], "repetitions must be at least 1, not 0"),
        (["--threads", "0"], "threads must be at least 1, not 0"),
        (["--codebook-size", "24"], "codebook_size must be a power of two, not 24"),
        (["--vector-dim", "5"], "vector_dim must divide 192, not be 5"),
    ],
)
def test_wrong_arguments(capsys: pytest.CaptureFixture[str], arguments: list[str], text: str) -> None:
    with pytest.raises(SystemExit) as caught:
        benchmark.main(arguments)
    assert caught.value.code == 2
    assert text in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        benchmark.main(["--help"])
    assert caught.value.code == 0
    assert "faiss.Kmeans with its defaults: 25 iterations on 256 random points per codeword" in capsys.readouterr().out
