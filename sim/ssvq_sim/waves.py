"""`make waves`: an FST of one small SSVQ layer on the core, from the first register access to the interrupt."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from ssvq.compile import CompileError, compile_layer
from ssvq.integer_layer import IntegerLayer
from ssvq.quantize import QuantizeConfig, WeightFormat, encode
from ssvq.reference import ActivationScale
from ssvq_gen.config import ConfigError, CoreConfig

from .behaviour import Behaviour, SimulationJob
from .fst import vcd_to_fst
from .runner import WAVES_FILE, SimulationError, run_jobs
from .simulator import BuildError

_SEED = 0
_CODEBOOK_SIZE, _VECTOR_DIM = 16, 4


def small_job(config: CoreConfig, *, tokens: int, latency: int) -> tuple[SimulationJob, IntegerLayer]:
    """A linear layer of two ragged tile columns, three tiles deep, with seeded values."""
    generator = torch.Generator().manual_seed(_SEED)
    out_channels, in_channels = 2 * config.cols - 3, 3 * config.rows - 1
    weight = torch.randn(out_channels, in_channels, generator=generator)
    x = torch.randn(tokens, in_channels, generator=generator)
    format_ = QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=_CODEBOOK_SIZE, vector_dim=_VECTOR_DIM)
    compressed = encode(weight, format_, name="layer")
    layer = IntegerLayer.from_compressed(
        compressed,
        input_scale=ActivationScale.from_values(x.numpy()),
        output_scale=ActivationScale.from_values((x @ weight.T).numpy()),
    )
    job = SimulationJob(
        name="waves",
        program=compile_layer(config, layer, tokens),
        inputs={layer.name: layer.input_scale.quantize(x.numpy())},
        behaviour=Behaviour(latency=latency),
    )
    return job, layer


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="ssvq_sim.waves", description=__doc__)
    result.add_argument("--config", default="tiny", help="preset or TOML file (default: tiny)")
    result.add_argument("--out", type=Path, default=Path("build"), help="folder to write to (default: build)")
    result.add_argument("--tokens", type=int, default=6, help="activations (default: 6)")
    result.add_argument("--latency", type=int, default=20, help="cycles that the memory takes to answer (default: 20)")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 for a wrong result, 2 when it cannot be run."""
    options = parser().parse_args(arguments)
    console = Console()
    try:
        config = CoreConfig.load(options.config)
        job, layer = small_job(config, tokens=options.tokens, latency=options.latency)
        folder = options.out / config.name / "waves"
        with console.status("building the core with tracing, running the layer"):
            result = run_jobs(config, [job], folder=folder, trace=True)[0]
    except (BuildError, CompileError, ConfigError, SimulationError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    waves = folder / f"{config.name}.fst"
    with console.status("converting to FST"):
        vcd_to_fst(folder / WAVES_FILE, waves)
    (folder / WAVES_FILE).unlink()
    exact = (
        result.error is None and (result.outputs[layer.name] == layer.reference(job.inputs[layer.name]).output).all()
    )
    console.print(str(waves), markup=False, highlight=False, soft_wrap=True)
    if not exact:
        print(f"error: the outputs differ from the reference ({result.error})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
