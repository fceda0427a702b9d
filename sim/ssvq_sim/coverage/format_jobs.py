"""Layers in every format, with every k and d, at the edges of the array, whether the memory pauses or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from ssvq.compile import compile_layers
from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq_gen.config import CoreConfig

from ..behaviour import CHANNELS, Behaviour, SimulationJob
from ..scenarios.modelled_job import TIMEOUT_CYCLES
from ..scenarios.scenario import JobScenario
from ..systems.convolution_cases import ConvolutionCase
from ..systems.layer_cases import LayerCase
from ..systems.outcome import problems_of
from .facts import format_name, formats
from .layer_program import convolution_program, one_tile

_PAUSING = Behaviour(latency=3, stalls=dict.fromkeys(CHANNELS, 0.4))
_GEOMETRY = ConvolutionGeometry(kernel=(2, 2))


def format_jobs(config: CoreConfig) -> Iterator[JobScenario]:
    """For each format, a program of MATMULs and one of a CONV."""
    for seed, (kind, codebook_size, vector_dim) in enumerate(formats(config)):
        case = one_tile(config, kind, codebook_size, vector_dim, seed=seed)
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
    program, x, expected = convolution_program(config, case)
    inputs = dict.fromkeys(expected, x)
    job = SimulationJob(name=name, program=program, inputs=inputs, timeout_cycles=TIMEOUT_CYCLES)
    return JobScenario(job=job, check=partial(problems_of, config, program, expected))
