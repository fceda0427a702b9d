"""What is run to measure one point: jobs one after the other on one core, and what they must give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ssvq.program import Program
from ssvq.reference import Int8Array
from ssvq_gen.config import CoreConfig

from ..behaviour import Behaviour, JobResult, SimulationJob
from ..real_layers import FormatChoice
from .limits import Work, roofline_cycles
from .points import Point

TIMEOUT_CYCLES = 100_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """A program to run.

    inputs : int8 (tokens, channels) by job name of the program
    expected : outputs that are compared, by job name
    measured : this program's cycles are the point's; of several, the slowest counts
    """

    name: str
    program: Program
    inputs: Mapping[str, Int8Array]
    expected: Mapping[str, Int8Array]
    measured: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurement:
    """A point of the sweep before it is run; its steps leave activations on the core for each other.

    works : the products that the measured program computes
    load_bytes : activations that the measured program loads
    profiled : the core's profile of the measured program is read
    """

    job: str
    variant: str | None = None
    layer: str
    config: CoreConfig
    choice: FormatChoice
    bytes_per_cycle: int
    latency: int
    works: tuple[Work, ...]
    load_bytes: int = 0
    profiled: bool = False
    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        """For progress bars and error messages."""
        parts = (self.job, self.variant, None if self.layer == "all" else self.layer, str(self.choice))
        return f"{' '.join(part for part in parts if part)}, {self.config.name} at {self.bytes_per_cycle} B/cycle"

    @property
    def memory_bytes(self) -> int:
        """DRAM that the largest program needs."""
        return max(step.program.memory_bytes for step in self.steps)

    @property
    def expected_cycles(self) -> float:
        """About what the steps will take, to run long measurements first and to show progress."""
        measured = sum(step.measured for step in self.steps)
        return measured * roofline_cycles(self.works, self.load_bytes, self.bytes_per_cycle)

    def jobs(self) -> list[SimulationJob]:
        """The steps as jobs of a simulation."""
        behaviour = Behaviour(latency=self.latency, bytes_per_cycle=self.bytes_per_cycle)
        return [
            SimulationJob(
                name=f"{self.name}: {step.name}",
                program=step.program,
                inputs=step.inputs,
                behaviour=behaviour,
                timeout_cycles=TIMEOUT_CYCLES,
                profile=self.profiled and step.measured,
            )
            for step in self.steps
        ]

    def is_exact(self, results: Sequence[JobResult]) -> bool:
        """Whether all outputs are those of the reference and nothing else was written."""
        return all(
            result.stray is None and all((result.outputs[name] == array).all() for name, array in step.expected.items())
            for step, result in zip(self.steps, results, strict=True)
        )

    def point(self, results: Sequence[JobResult]) -> Point:
        """The point, from the results of `jobs`, none of which has an error."""
        config, rate = self.config, self.bytes_per_cycle
        measured = [result for step, result in zip(self.steps, results, strict=True) if step.measured]
        counters = max((dict(result.counters) for result in measured), key=lambda c: c["TOTAL_CYCLES"])
        cycles = counters["TOTAL_CYCLES"]
        moved = (counters["READ_BEATS"] + counters["WRITE_BEATS"]) * config.beat_bytes
        macs = sum(work.shape.macs for work in self.works)
        compute = sum(work.compute_cycles for work in self.works)
        line = [roofline_cycles(self.works, self.load_bytes, rate, weights_only=only) for only in (False, True)]
        return Point(
            job=self.job,
            variant=self.variant,
            layer=self.layer,
            config=config.name,
            format=self.choice.format.value,
            codebook_size=self.choice.codebook_size,
            vector_dim=self.choice.vector_dim,
            bytes_per_cycle=rate,
            latency=self.latency,
            array_macs=config.rows * config.cols,
            cycles=cycles,
            compute_cycles=compute,
            stream_bytes=sum(work.stream_bytes for work in self.works),
            weights_only_bytes=sum(work.weight_bytes for work in self.works),
            load_bytes=self.load_bytes,
            macs=macs,
            roofline_cycles=round(line[0]),
            roofline_weights_only_cycles=round(line[1]),
            wait_decode_cycles=counters["WAIT_DECODE_CYCLES"],
            bus_utilisation=round(moved / (cycles * rate), 4),
            mac_utilisation=round(macs / (config.rows * config.cols * cycles), 4),
            mac_utilisation_of_possible=round(compute / cycles, 4),
            bit_exact=self.is_exact(results),
            counters=counters,
            simulated_cycles=sum(result.cycles for result in results),
            wall_seconds=round(sum(result.wall_seconds for result in results), 3),
            job_wall_seconds=round(max(result.wall_seconds for result in measured), 3),
        )
