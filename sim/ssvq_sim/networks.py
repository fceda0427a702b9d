"""`make networks`: whole networks on the simulated core, from image to logits, and what they cost."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from ssvq.models.vision_transformer import deit_tiny
from ssvq.network import Graph, graph_of
from ssvq.network.calibration import ValueRange, calibrate
from ssvq.network.compilation import compile_network
from ssvq.network.compression import compress_graph
from ssvq.network.emission import INPUT, OUTPUT, CompiledNetwork
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.roofline import roofline_cycles
from ssvq_gen.config import ConfigError, CoreConfig
from ssvq_gen.toolbox import ToolError

from .behaviour import Behaviour, SimulationJob
from .job_files import write_json
from .runner import SimulationError, run_jobs
from .simulator import BuildError

RESULT_FILE = "networks.json"
FORMATS = {
    "int8": QuantizeConfig(format=WeightFormat.INT8),
    "ssvq": QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=16, vector_dim=8),
}
TARGET_CONFIG, TARGET_RATE, TARGET_SPEED_UP = "base", 1, 3.5
LATENCY = 100
WATCHDOG_CYCLES = 100_000
SEED = 0
TABLE_WIDTH = 110


@dataclass(frozen=True, kw_only=True)
class NetworkRun:
    """One network on one core, from an idle core to the last output in DRAM.

    Attributes:
        cycles: TOTAL_CYCLES of the job.
        roofline_cycles: least cycles of its arithmetic and bytes, step by step, without vector operations.
        vector_cycles, load_cycles: those in which the array stood for a vector operation, for a LOAD.
        host_operators: what the host had to do in between.
        bit_exact: outputs are those of the golden model.
        value: cosine of the outputs and those of the float model.
    """

    network: str
    config: str
    format: str
    codebook_size: int | None
    vector_dim: int | None
    bytes_per_cycle: int
    backend: str
    cycles: int
    roofline_cycles: float
    array_cycles: int
    vector_cycles: int
    load_cycles: int
    host_operators: tuple[str, ...]
    bit_exact: bool
    metric: str = "cosine to float"
    value: float
    float_value: float = 1.0


def _deit() -> tuple[nn.Module, Tensor]:
    """A DeiT-tiny of seeded weights, and an image."""
    torch.manual_seed(SEED)
    return deit_tiny().eval(), torch.randn(1, 3, 224, 224)


class Subject:
    """A network with what all its runs share."""

    def __init__(self, name: str, model: nn.Module, sample: Tensor) -> None:
        self.name, self.sample = name, sample
        self.graph: Graph = graph_of(model, (sample,))
        self._ranges: dict[str, ValueRange] = calibrate(self.graph, [(sample,)])
        with torch.no_grad():
            self.expected = model(sample).numpy().reshape(-1)

    def compiled(self, weights: QuantizeConfig, config: CoreConfig) -> CompiledNetwork:
        """The network for a core."""
        layers = compress_graph(self.graph, lambda _node: weights)
        return compile_network(self.graph, self._ranges, layers, config)


def measure(
    subject: Subject, format: str, made: CompiledNetwork, config: CoreConfig, rates: Sequence[int]
) -> list[NetworkRun]:
    """Run a compiled network on the simulated core, once for each rate of the bus."""
    network, program = made.network, made.program
    given = network.quantize_inputs(subject.sample.numpy())
    memory = network.run(given)
    (output,) = network.outputs
    view = network.outputs[output]
    values = network.output(memory, output).reshape(-1)
    cosine = float(values @ subject.expected / np.linalg.norm(values) / np.linalg.norm(subject.expected))
    jobs = [
        SimulationJob(
            name=f"{subject.name} {format} {rate}",
            program=program,
            inputs={f"{INPUT}{own.name}": given[own.tensor] for own in network.inputs},
            behaviour=Behaviour(latency=LATENCY, bytes_per_cycle=rate if rate < config.beat_bytes else 0),
            watchdog_cycles=WATCHDOG_CYCLES,
        )
        for rate in rates
    ]
    runs = []
    for rate, result in zip(rates, run_jobs(config, jobs), strict=True):
        if result.error is not None:
            raise SimulationError(f"{subject.name} in {format}: {result.error}")
        found = result.outputs[f"{OUTPUT}{output}"].reshape(-1)
        weights = FORMATS[format]
        runs.append(
            NetworkRun(
                network=subject.name,
                config=config.name,
                format=format,
                codebook_size=weights.codebook_size,
                vector_dim=weights.vector_dim,
                bytes_per_cycle=rate,
                backend="sim",
                cycles=result.counters["TOTAL_CYCLES"],
                roofline_cycles=roofline_cycles(config, program, rate),
                array_cycles=result.counters["ARRAY_CYCLES"],
                vector_cycles=result.counters["VECTOR_CYCLES"],
                load_cycles=result.counters["LOAD_CYCLES"],
                host_operators=(),
                bit_exact=bool((found == view.read(memory[view.tensor]).reshape(-1)).all()),
                value=cosine,
            )
        )
    return runs


def table(runs: Sequence[NetworkRun]) -> Table:
    """All runs, and how many times fewer cycles than int8 at the same rate."""
    result = Table(title="whole networks, everything on the core")
    for head in ("network", "core", "weights", "B/cycle", "cycles", "over int8", "array", "vector", "load", "exact"):
        result.add_column(head, justify="left" if head in ("network", "core", "weights") else "right")
    for run in runs:
        faster = speed_up(runs, run)
        parts = (f"{part / run.cycles:.1%}" for part in (run.array_cycles, run.vector_cycles, run.load_cycles))
        result.add_row(
            *(run.network, run.config, run.format, str(run.bytes_per_cycle), f"{run.cycles:,}"),
            *("" if faster is None else f"{faster:.2f}x", *parts, "yes" if run.bit_exact else "NO"),
        )
    return result


def speed_up(runs: Sequence[NetworkRun], run: NetworkRun) -> float | None:
    """Cycles of the same network with int8 weights over those of the run; None where that was not run."""
    same = (run.network, run.config, run.bytes_per_cycle)
    for other in runs:
        if other.format == "int8" and (other.network, other.config, other.bytes_per_cycle) == same:
            return other.cycles / run.cycles
    return None


def missed(runs: Sequence[NetworkRun]) -> list[str]:
    """What is not as it has to be."""
    found = [f"{run.network} in {run.format} is not bit-exact" for run in runs if not run.bit_exact]
    for run in runs:
        faster = speed_up(runs, run) if (run.config, run.bytes_per_cycle) == (TARGET_CONFIG, TARGET_RATE) else None
        if run.format == "ssvq" and faster is not None and faster < TARGET_SPEED_UP:
            found.append(f"{run.network} is {faster:.3f} times faster than with int8, below {TARGET_SPEED_UP}")
    return found


def main(
    config: Annotated[str, typer.Option(help="A preset or a TOML file.")] = TARGET_CONFIG,
    bytes_per_cycle: Annotated[list[int] | None, typer.Option(help="Rates of the bus; 1, 2, 4 and 8 if none.")] = None,
    format: Annotated[list[str] | None, typer.Option(help="int8 or ssvq; both if none.")] = None,
    output: Annotated[Path, typer.Option(help="Folder of networks.json.")] = Path("build/networks"),
) -> None:
    """Run a DeiT-tiny of seeded weights on the simulated core: one image, nothing on the host but the argmax.

    Every logit is compared with the integer golden model. The exit code is 1 when one differs, or when SSVQ at k=16 and
    d=8 is not 3.5 times faster than int8 weights at 1 byte per cycle on `base`; 2 when something cannot be run.
    """
    console = Console(soft_wrap=True)
    try:
        core = CoreConfig.load(config)
        rates = bytes_per_cycle or [rate for rate in (1, 2, 4, 8) if rate <= core.beat_bytes]
        formats = format or list(FORMATS)
        for name, rate in itertools.product(formats, rates):
            if name not in FORMATS or not 1 <= rate <= core.beat_bytes:
                known = f"formats are {', '.join(FORMATS)}, rates 1 to {core.beat_bytes}"
                raise ConfigError(f"{name!r} at {rate} bytes per cycle is not possible: {known}")
        subject = Subject("deit_tiny", *_deit())
        runs: list[NetworkRun] = []
        for name in formats:
            with console.status(f"{subject.name} with {name} weights on {core.name}"):
                runs += measure(subject, name, subject.compiled(FORMATS[name], core), core, rates)
        output.mkdir(parents=True, exist_ok=True)
        write_json(output / RESULT_FILE, {"runs": [asdict(run) for run in runs]})
    except (ConfigError, ValueError, SimulationError, BuildError, ToolError, OSError) as error:
        console.print(f"error: {error}", style="red")
        raise typer.Exit(2) from error
    Console(width=max(console.width, TABLE_WIDTH)).print(table(runs))
    wrong = missed(runs)
    for problem in wrong:
        console.print(problem, style="red")
    console.print(f"{'FAIL' if wrong else 'PASS'}: {output / RESULT_FILE}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    typer.run(main)
