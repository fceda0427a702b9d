"""What came of the runs, as written to networks.json, and what must not be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

TARGET_NETWORK, TARGET_CONFIG, TARGET_RATE, TARGET_SPEED_UP = "deit_tiny", "base", 1, 3.5
TARGET_WEIGHTS = ("ssvq", 16, 8)
"""Format, codebook size and vector dimension."""


@dataclass(frozen=True, kw_only=True)
class NetworkRun:
    """One network with weights of one format on one core, from an idle core to the last output in DRAM.

    Attributes:
        weighted: a weight's error counted as much as the activations that it is multiplied with.
        bytes_per_cycle: of the bus.
        backend: `sim`, the simulated core, or `reference`, the golden model.
        samples: inputs that were run, one after the other; cycles are means over them.
        cycles: TOTAL_CYCLES; None without simulation.
        roofline_cycles: least cycles of its arithmetic and bytes, step by step, without vector operations.
        cycles_of: what the cycles went for, in the classes of the core's counters, by their names without `_CYCLES`.
        host_operators: what the host had to do in between.
        bit_exact: all outputs are those of the golden model; of the golden model, those of its runs that were
            simulated; None where none was.
        value, float_value: of the metric, for this network and for the float model.
    """

    network: str
    config: str
    format: str
    codebook_size: int | None
    vector_dim: int | None
    weighted: bool = False
    bytes_per_cycle: int
    backend: str
    samples: int
    cycles: int | None
    roofline_cycles: float
    cycles_of: Mapping[str, int]
    host_operators: tuple[str, ...]
    bit_exact: bool | None
    metric: str
    value: float
    float_value: float

    @property
    def weights(self) -> str:
        """The format in words."""
        if self.codebook_size is None:
            return self.format
        weighted = ", weighted" if self.weighted else ""
        return f"{self.format} k={self.codebook_size} d={self.vector_dim}{weighted}"


@dataclass(frozen=True, kw_only=True)
class Times:
    """Real seconds of one case.

    Attributes:
        compress: fitting of codebooks.
        compile: from float graph to program, calibration not included.
        reference, simulation: of all samples and rates.
    """

    network: str
    config: str
    weights: str
    compress: float
    compile: float
    reference: float
    simulation: float


def speed_up(runs: Iterable[NetworkRun], run: NetworkRun) -> float | None:
    """Cycles of the same network with int8 weights over those of the run; None where that was not run."""
    if run.cycles is None:
        return None
    same = (run.network, run.config, run.bytes_per_cycle, run.samples)
    for other in runs:
        key = (other.network, other.config, other.bytes_per_cycle, other.samples)
        if other.format == "int8" and other.cycles is not None and key == same:
            return other.cycles / run.cycles
    return None


def missed(runs: Sequence[NetworkRun]) -> list[str]:
    """What is not as it has to be."""
    wrong = [run for run in runs if run.backend == "sim" and not run.bit_exact]
    found = [f"{run.network} in {run.weights} on {run.config} is not bit-exact" for run in wrong]
    for run in runs:
        place = (run.network, run.config, run.bytes_per_cycle)
        weights = (run.format, run.codebook_size, run.vector_dim)
        faster = speed_up(runs, run)
        if place != (TARGET_NETWORK, TARGET_CONFIG, TARGET_RATE) or weights != TARGET_WEIGHTS or faster is None:
            continue
        if faster < TARGET_SPEED_UP:
            found.append(f"{run.network} is {faster:.3f} times faster than with int8, below {TARGET_SPEED_UP}")
    return found
