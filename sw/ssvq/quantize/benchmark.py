"""`python -m ssvq.quantize.benchmark`: how long training the codebooks of a DeiT-tiny takes, and how good they are."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ssvq.quantize import _faiss
from ssvq.quantize._threads import threads_for
from ssvq.quantize.codebook import train
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.quantize.target import Target

CHANNELS = 192
BLOCK = ((3 * CHANNELS, CHANNELS), (CHANNELS, CHANNELS), (4 * CHANNELS, CHANNELS), (CHANNELS, 4 * CHANNELS))
"""Weights (N, K) of one of the 12 blocks: queries, keys and values; projection; both layers of the MLP."""
POINTS_DEFAULT, POINTS_ALL = 256, 1 << 30
"""Points per codeword of faiss: its default, and more than there are."""
LIMIT = 1.2
"""How much longer than faiss on all points the training may take."""

_WIDTH = 110
_EPILOG = """\
The weights are random: normally distributed, with standard deviations that differ between output channels. One codebook
is trained for each of the 50 linear layers (12 blocks, patch embedding, head; 5.6 million weights), by

  ssvq          what `encode` does before its final assignment: scales, k-means on a sample, refinement on all
                subvectors, rounding to int8
  ssvq, quick   the same with settings for less time: 256 subvectors per codeword, 8 iterations, 1 round of refinement
  faiss         faiss.Kmeans with its defaults: 25 iterations on 256 random points per codeword
  faiss, all    the same on all points

faiss gets the magnitudes of the weights, divided by their channel's root mean square beforehand: the normalised
subvectors from which ssvq starts as well. The methods take turns; seconds are the median of the repetitions. Errors are
those after assigning all subvectors: "weights" is the squared error of the weights relative to their squares,
"subvectors" the mean squared error of the normalised weights, which is what faiss minimises. The exit code is 1 when
ssvq takes more than 1.2 times as long as faiss on all points, or represents the weights with a larger error.
"""


@dataclass(frozen=True, kw_only=True)
class Codebook:
    """Result of one layer: codebook float32 (k, d) and scales (N,)."""

    words: Tensor
    scale: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Method:
    """A way to train the codebooks of all layers with a seed, and what was measured of it.

    Attributes:
        name: in the table.
        run: from a seed to the codebooks.
        seconds: of every repetition.
        errors: relative squared error of the weights, and mean squared error of the subvectors, of every repetition.
    """

    name: str
    run: Callable[[int], list[Codebook]]
    seconds: list[float] = field(default_factory=list)
    errors: list[tuple[float, float]] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median of the seconds."""
        return statistics.median(self.seconds)

    @property
    def mean_errors(self) -> tuple[float, float]:
        """Means of the two errors."""
        weights, subvectors = zip(*self.errors, strict=True)
        return statistics.fmean(weights), statistics.fmean(subvectors)


def deit_tiny_weights(seed: int) -> list[Tensor]:
    """Random weights (N, K) of the linear layers of a DeiT-tiny."""
    generator = torch.Generator().manual_seed(seed)
    weights = []
    for rows, channels in ((CHANNELS, 16 * 16 * 3), *BLOCK * 12, (1000, CHANNELS)):
        spread = torch.randn(rows, 1, generator=generator).mul(0.3).exp() * 0.05
        weights.append(torch.randn(rows, channels, generator=generator) * spread)
    return weights


def measure(weights: Sequence[Tensor], config: QuantizeConfig, repetitions: int) -> list[Method]:
    """Train codebooks by all methods in turn, with another seed in each repetition.

    Args:
        weights: float32 (N, K), K a multiple of the vector dimension.
        config: of SSVQ with scales of channels; its seed is that of the first repetition.
        repetitions: at least 1.

    Returns:
        the methods of the table, in its order.
    """
    size, dim = config.codebook
    targets = [Target.make(weight, dim, config.format) for weight in weights]
    scales = [target.first_scale("channel") for target in targets]
    points = [t.points(s).values.contiguous().numpy() for t, s in zip(targets, scales, strict=True)]

    def ssvq(settings: QuantizeConfig) -> list[Codebook]:
        found = []
        for weight in weights:
            with threads_for(weight.numel() * size):
                words, scale = train(Target.make(weight, dim, settings.format), settings)
            found.append(Codebook(words=words.to(torch.float32), scale=scale))
        return found

    def faiss(seed: int, points_per_codeword: int) -> list[Codebook]:
        found = [_faiss.train_kmeans(p, size, points_per_codeword=points_per_codeword, seed=seed) for p in points]
        return [Codebook(words=torch.from_numpy(w), scale=s) for w, s in zip(found, scales, strict=True)]

    quick = replace(config, train_subvectors=256 * size, iterations=8, refine_rounds=1)
    methods = [
        Method(name="ssvq", run=lambda seed: ssvq(replace(config, seed=seed))),
        Method(name="ssvq, quick", run=lambda seed: ssvq(replace(quick, seed=seed))),
        Method(name="faiss", run=lambda seed: faiss(seed, POINTS_DEFAULT)),
        Method(name="faiss, all", run=lambda seed: faiss(seed, POINTS_ALL)),
    ]
    for method in methods:
        method.run(config.seed)  # afterwards threads and memory are set up
    for repetition in range(repetitions):
        for method in methods:
            start = time.perf_counter()
            codebooks = method.run(config.seed + repetition)
            method.seconds.append(time.perf_counter() - start)
            method.errors.append(_errors(targets, scales, codebooks))
    return methods


def _errors(targets: list[Target], scales: list[Tensor], codebooks: list[Codebook]) -> tuple[float, float]:
    """Relative squared error of the weights, and mean squared error of the weights normalised by `scales`."""
    error = signal = normalised = 0.0
    for target, scale, codebook in zip(targets, scales, codebooks, strict=True):
        rows = target.rows.flatten(1)
        found = target.points(codebook.scale).nearest(codebook.words).indices
        decoded = codebook.scale[:, None] * codebook.words[found].view(rows.shape)
        difference = (rows - decoded).to(torch.float64)
        error += float(difference.square().sum())
        signal += float(rows.to(torch.float64).square().sum())
        normalised += float((difference / scale[:, None]).square().sum())
    return error / signal, normalised / sum(target.rows.numel() for target in targets)


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ssvq.quantize.benchmark",
        description="Time the training of the codebooks of a DeiT-tiny against faiss.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--repetitions", type=int, default=5, metavar="COUNT", help="rounds of all methods (5)")
    parser.add_argument("--codebook-size", type=int, default=16, metavar="K", help="codewords (16)")
    parser.add_argument("--vector-dim", type=int, default=8, metavar="D", help="weights per subvector, divides 192 (8)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and of the first round (0)")
    parser.add_argument("--threads", type=int, metavar="COUNT", help="of faiss and of PyTorch; one per core if absent")
    options = parser.parse_args(arguments)
    size, dim = options.codebook_size, options.vector_dim
    try:
        config = QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=size, vector_dim=dim, seed=options.seed)
    except ValueError as error:
        parser.error(str(error))
    if CHANNELS % dim:
        parser.error(f"vector_dim must divide {CHANNELS}, not be {dim}")
    for name in ("repetitions", "threads"):
        if (count := getattr(options, name)) is not None and count < 1:
            parser.error(f"{name} must be at least 1, not {count}")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
        _faiss.set_threads(options.threads)

    methods = measure(deit_tiny_weights(options.seed), config, options.repetitions)
    console = console or Console(width=_WIDTH)
    console.print(_table(methods, f"{size} codewords of {dim}, threads: {_faiss.get_threads()}"))
    ours, reference = methods[0], methods[-1]
    ratio = ours.median / reference.median
    change = ours.mean_errors[0] / reference.mean_errors[0] - 1
    console.print(
        f"ssvq takes {ratio:.2f} of the time of faiss on all points, with {change:+.2%} error of the weights."
    )
    return 0 if ratio <= LIMIT and change <= 0 else 1


def _table(methods: Sequence[Method], title: str) -> Table:
    table = Table(title=f"Codebooks of a DeiT-tiny, {title}")
    table.add_column("method")
    for heading in ("seconds", "least", "most", "/ faiss", "/ faiss, all", "weights", "subvectors"):
        table.add_column(heading, justify="right")
    default, everything = methods[-2:]
    for method in methods:
        times = (method.median, min(method.seconds), max(method.seconds))
        ratios = (method.median / default.median, method.median / everything.median)
        figures = [f"{value:.3f}" for value in times] + [f"{value:.2f}" for value in ratios]
        table.add_row(method.name, *figures, *(f"{error:.5f}" for error in method.mean_errors))
    return table


if __name__ == "__main__":
    raise SystemExit(main())
