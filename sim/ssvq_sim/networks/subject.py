"""A network with its samples, its metrics and the cases in which it is run: data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ssvq.network import Graph, execute
from ssvq.network.calibration import Clip, ValueRange, calibrate
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq_gen.config import CoreConfig

INT8 = QuantizeConfig(format=WeightFormat.INT8)
"""Weights of all comparisons."""


def ssvq(codebook_size: int, vector_dim: int) -> QuantizeConfig:
    """SSVQ weights."""
    return QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=codebook_size, vector_dim=vector_dim)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Inputs of a graph, and the class of what they show, where that is known."""

    inputs: tuple[Tensor, ...]
    label: int = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A graph with samples of its shapes. A network that takes sentences has one for each length.

    Attributes:
        calibration: inputs that ranges are taken from.
    """

    graph: Graph
    samples: tuple[Sample, ...]
    calibration: tuple[tuple[Tensor, ...], ...]
    clip: Clip = "percentile"

    @cached_property
    def ranges(self) -> Mapping[str, ValueRange]:
        """Of all values."""
        return calibrate(self.graph, self.calibration, clip=self.clip)

    @cached_property
    def expected(self) -> Tensor:
        """The first output of the float model for each sample, (N, values)."""
        return torch.stack([execute(self.graph, *sample.inputs)[0].flatten() for sample in self.samples])


Score = Callable[[Tensor, Tensor, Tensor], float]
"""Of outputs (N, values), those of the float model, and the labels int64 (N,)."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How good outputs are, as a name and a function."""

    name: str
    score: Score


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A core and a format of weights.

    Attributes:
        config: of the core.
        weights: of all layers that can have them, see `default_choice`.
        rates: bytes per cycle of the bus, each a run; those that the bus does not have are left out.
        simulated: samples, the first of all parts, that run on the simulated core; all run on the reference.
        weighted: whether a weight's error counts as much as the activations that it is multiplied with.
        same_as: another core, for which the network's integers must be the same.
    """

    config: CoreConfig
    weights: QuantizeConfig
    rates: tuple[int, ...]
    simulated: int
    weighted: bool = False
    same_as: CoreConfig | None = None

    @property
    def format(self) -> str:
        """The weights' format, as in the results."""
        return f"{self.weights.format.value}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A network.

    Attributes:
        parts: graphs with samples; layers have the same names and weights in all of them.
        metrics: the first one is that of runs on the simulated core, too.
        host_operators: what the host does between the model's inputs and outputs.
    """

    name: str
    parts: tuple[Part, ...]
    metrics: tuple[Metric, ...]
    cases: tuple[Case, ...]
    host_operators: tuple[str, ...] = ()

    @cached_property
    def expected(self) -> Tensor:
        """Outputs of the float model for all samples, (N, values)."""
        return torch.cat([part.expected for part in self.parts])

    @property
    def labels(self) -> Tensor:
        """Of all samples, int64 (N,)."""
        return torch.tensor([sample.label for part in self.parts for sample in part.samples])
