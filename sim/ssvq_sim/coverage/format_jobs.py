"""Layers in every format, with every k and d, at the edges of the array, whether the memory pauses or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from ssvq.builder import ProgramBuilder
from ssvq.compile import compile_layers
from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq_gen.config import CoreConfig, WeightFormat

from ..behaviour import CHANNELS, Behaviour, SimulationJob
from ..scenarios.modelled_job import TIMEOUT_CYCLES
from ..scenarios.scenario import JobScenario
from ..systems.convolution_cases import ConvolutionCase
from ..systems.layer_cases import LayerCase
from ..systems.outcome import problems_of
from .facts import format_name, formats

_PAUSING = Behaviour(latency=3, stalls=dict.fromkeys(CHANNELS, 0.4))
_GEOMETRY = ConvolutionGeometry(kernel=(2, 2))


def format_jobs(config: CoreConfig) -> Iterator[JobScenario]:
    """For each format, a program of MATMULs and one of a CONV."""
    for seed, (kind, codebook_size, vector_dim) in enumerate(formats(config)):
        shape = (256, 1) if kind is WeightFormat.INT8 else (codebook_size, vector_dim)
        case = LayerCase(
            weight_format=kind.name.lower(),
            codebook_size=shape[0],
            vector_dim=shape[1],
            in_channels=config.rows,
            out_channels=config.cols,
            tokens=1,
            activations="random",
            weights="random",
            parameters="tuned",
            seed=seed,
        )
        name = format_name(kind, codebook_size, vector_dim)
        yield _layers(config, f"layers in {name}", case)
        yield _convolution(config, f"a convolution in {name}", case)


def _layers(config: CoreConfig, name: str, case: LayerCase) -> JobScenario:
    """Inputs, outputs and tokens at all edges; the last layer needs its weights twice, and keeps them."""
    rows, cols, depth = config.rows, config.cols, config.accumulator_depth
    shapes = ((1, cols, 1), (rows + 3, 2 * cols, 5), (2 * rows, cols + 1, depth), (rows, cols, 2 * depth))
    cases = [replace(case, in_channels=k, out_channels=n, tokens=tokens) for k, n, tokens in shapes]
    built = [one.build(f"layer{number}") for number, one in enumerate(cases)]
    program = compile_layers(config, [(layer, len(x)) for layer, x in built])
    expected = {layer.name: layer.reference(x).output for layer, x in built}
    inputs = {layer.name: x for layer, x in built}
    behaviour = replace(_PAUSING, seed=1 + case.seed)
    job = SimulationJob(name=name, program=program, inputs=inputs, behaviour=behaviour, timeout_cycles=TIMEOUT_CYCLES)
    return JobScenario(job=job, check=partial(problems_of, config, program, expected))


def _convolution(config: CoreConfig, name: str, values: LayerCase) -> JobScenario:
    """One descriptor of each kind, with nothing to wait for."""
    case = ConvolutionCase(layer=values, height=3, width=4, geometry=_GEOMETRY)
    layer, image = case.build("convolution")
    builder = ProgramBuilder(config)
    case.add_to(builder, config, layer)
    program = builder.build()
    expected = {layer.name: layer.reference(image).output.reshape(-1, layer.out_channels)}
    inputs = {layer.name: image.reshape(-1, layer.in_channels)}
    job = SimulationJob(name=name, program=program, inputs=inputs, timeout_cycles=TIMEOUT_CYCLES)
    return JobScenario(job=job, check=partial(problems_of, config, program, expected))
