"""Random systems: configurations, layers and bus behaviour as plain data. Everything follows from a seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from ssvq.builder import ProgramBuilder
from ssvq.compile import compile_layers
from ssvq.program import Program
from ssvq_gen.config import (
    ACTIVATION_BANKS,
    ECP5,
    GENERIC,
    MAX_DEPTHWISE_TAPS,
    PACKING_PORTS,
    CoreConfig,
    WeightFormat,
)
from ssvq_gen.format import FormatError
from ssvq_gen.stream_format import StreamFormat

from ..behaviour import CHANNELS, MEMORY_BASE_DEFAULT, Behaviour, SimulationJob
from .convolution_cases import ConvolutionCase
from .layer_cases import ACTIVATIONS, PARAMETERS, RECORDS, WEIGHTS, LayerCase
from .strategies import geometries

TIMEOUT_CYCLES = 2_000_000
WATCHDOG_CYCLES = 20_000
"""Far above the longest latency, far below the time-out: a core that hangs is found by its own watchdog."""
_TOP_BYTES = 1 << 24
"""Distance of the highest DRAM window from the end of the address space."""
_TALL, _WIDE = (17, 33), (6, 9, 20, 33)
"""Configurations with the most rows and columns, by number."""
_WARM_UP = 4
"""Hypothesis begins with the simplest examples; configurations are taken from behind them."""
Tensors = Mapping[str, npt.NDArray[np.int8]]
"""Inputs or outputs by job."""


@dataclass(frozen=True, kw_only=True)
class SystemCase:
    """A program of several layers, or of several convolutions, on a core, and its memory's behaviour."""

    config: CoreConfig
    layers: tuple[LayerCase, ...]
    behaviour: Behaviour
    memory_base: int
    convolutions: tuple[ConvolutionCase, ...] = ()

    def to_json(self) -> str:
        """One line that `from_json` reads."""
        data = {
            "config": self.config.to_dict(),
            "layers": [asdict(layer) for layer in self.layers],
            "convolutions": [asdict(convolution) for convolution in self.convolutions],
            "behaviour": asdict(self.behaviour),
            "memory_base": self.memory_base,
        }
        return json.dumps(data, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> SystemCase:
        """Inverse of `to_json`."""
        data: dict[str, Any] = json.loads(text)
        return cls(
            config=CoreConfig.from_dict(data["config"]),
            layers=tuple(LayerCase(**layer) for layer in data["layers"]),
            convolutions=tuple(ConvolutionCase.from_dict(convolution) for convolution in data["convolutions"]),
            behaviour=Behaviour.from_dict(data["behaviour"]),
            memory_base=data["memory_base"],
        )

    def build(self, name: str) -> tuple[SimulationJob, Mapping[str, npt.NDArray[np.int8]]]:
        """The job, and the outputs that the integer reference expects of it."""
        program, inputs, expected = self._images(name) if self.convolutions else self._matrices(name)
        job = SimulationJob(
            name=name,
            program=program,
            inputs=inputs,
            behaviour=self.behaviour,
            memory_base=self.memory_base,
            timeout_cycles=TIMEOUT_CYCLES,
            watchdog_cycles=WATCHDOG_CYCLES,
        )
        return job, expected

    def _matrices(self, name: str) -> tuple[Program, Tensors, Tensors]:
        built = [layer.build(f"{name}_{index}") for index, layer in enumerate(self.layers)]
        program = compile_layers(self.config, [(layer, x.shape[0]) for layer, x in built])
        outputs = {layer.name: layer.reference(x).output for layer, x in built}
        return program, {layer.name: x for layer, x in built}, outputs

    def _images(self, name: str) -> tuple[Program, Tensors, Tensors]:
        builder = ProgramBuilder(self.config)
        inputs, outputs = {}, {}
        for index, case in enumerate(self.convolutions):
            layer, image = case.build(f"{name}_{index}")
            case.add_to(builder, self.config, layer)
            inputs[layer.name] = image.reshape(-1, layer.in_channels)
            outputs[layer.name] = layer.reference(image).output.reshape(-1, layer.out_channels)
        return builder.build(), inputs, outputs


def draw(strategy: st.SearchStrategy[Any], count: int, *, random_seed: int) -> list[Any]:
    """`count` examples of a strategy, the same for the same seed; the simplest come first."""
    examples: list[Any] = []
    if not count:
        return examples

    @seed(random_seed)
    @settings(
        max_examples=count,
        database=None,
        phases=(Phase.generate,),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: Any) -> None:
        examples.append(example)

    collect()
    return examples


def configurations(count: int, *, random_seed: int) -> list[CoreConfig]:
    """`count` small configurations; 15 in a row have every combination of rows and bus widths."""
    strategy = st.tuples(*(_configuration(index) for index in range(count)))
    return list(draw(strategy, _WARM_UP, random_seed=random_seed)[-1])


@st.composite
def _configuration(draw_value: st.DrawFn, index: int) -> CoreConfig:
    """What the index fixes makes sure that every choice is there; the rest is random."""
    rows = 32 if index in _TALL else (4, 8, 16)[index % 3]
    cols = 32 if index in _WIDE else (8, 16)[index // 2 % 2]
    bus = (32, 64, 128, 256, 512)[index % 5]
    target = (GENERIC, *PACKING_PORTS, ECP5, GENERIC)[index // 3 % 5]
    fixed_codebooks = {0: 4096, 1: 2}
    fixed_formats = {2: ("int8",), 6: ("ssvq",), 7: ("vq",), 10: ("int8", "ssvq"), 11: ("ssvq", "vq")}
    base = CoreConfig(
        name=f"random{index}",
        rows=rows,
        cols=cols,
        axi_data_width=bus,
        axi_addr_width=draw_value(st.sampled_from((32, 36, 40, 64))),
        activation_bytes=ACTIVATION_BANKS * max(rows, cols) * draw_value(st.integers(8, 150)),
        accumulator_depth=draw_value(st.sampled_from((4, 8, 16, 32))),
        max_codebook_size=fixed_codebooks.get(index) or 1 << draw_value(st.integers(1, 10)),
        weight_buffer_depth=draw_value(st.sampled_from((64, 128))),
        weight_cache_bytes=(0, 1 << 10, 4 << 10)[index // 2 % 3],
        profile_depth=(0, 8, 64)[index % 3],
        attention=index % 4 != 1,
        convolution=index % 4 != 2,
        vector=index % 7 != 3,
        depthwise_taps=draw_value(st.integers(0, MAX_DEPTHWISE_TAPS)),
        formats=fixed_formats.get(index, ("int8", "ssvq", "vq")),  # type: ignore[arg-type]
        target=target,
        packed_macs=target in PACKING_PORTS,
    )
    choices = base.lane_choices
    lanes = [1 << bit for bit in range(2, base.word_bytes.bit_length())] if base.vector else [0]
    return base.replace(
        vector_lanes=draw_value(st.sampled_from(lanes)),
        decode_lanes=choices[index // 3 % len(choices)],
        requantize_lanes=1 << draw_value(st.integers(0, cols.bit_length() - 1)),
    )


@st.composite
def system_cases(draw_value: st.DrawFn, config: CoreConfig) -> SystemCase:
    """A case that `config` can run."""
    top = (1 << config.axi_addr_width) - _TOP_BYTES
    convolutions = _convolutions(config).filter(lambda case: case.fits(config))
    kinds: dict[str, Any] = {"layers": (), "convolutions": ()}
    if config.convolution and draw_value(st.booleans()):
        kinds["convolutions"] = tuple(draw_value(st.lists(convolutions, min_size=1, max_size=3)))
    else:
        kinds["layers"] = tuple(draw_value(st.lists(_layers(config), min_size=1, max_size=4)))
    return SystemCase(
        config=config,
        **kinds,
        behaviour=draw_value(behaviours(config)),
        memory_base=draw_value(st.sampled_from((MEMORY_BASE_DEFAULT, 0, top))),
    )


@st.composite
def _layers(draw_value: st.DrawFn, config: CoreConfig) -> LayerCase:
    weight_format = draw_value(st.sampled_from(config.formats))
    codebook_size, vector_dim = 256, 1
    if weight_format is not WeightFormat.INT8:
        codebook_size, vector_dim = draw_value(st.sampled_from(_codebooks(config, weight_format)))
    most = (config.activation_depth - 1) * config.word_bytes
    return LayerCase(
        weight_format=weight_format.name.lower(),
        codebook_size=codebook_size,
        vector_dim=vector_dim,
        in_channels=min(most, draw_value(_channels(config.rows, 4 * config.rows + 5))),
        out_channels=draw_value(_channels(config.cols, 3 * config.cols + 5)),
        tokens=draw_value(_tokens(config.accumulator_depth)),
        activations=draw_value(st.sampled_from(ACTIVATIONS)),
        weights=draw_value(st.sampled_from(WEIGHTS)),
        parameters=draw_value(st.sampled_from(("tuned", *PARAMETERS))),
        records=draw_value(st.sampled_from(RECORDS)),
        seed=draw_value(st.integers(0, 2**32 - 1)),
    )


@st.composite
def _convolutions(draw_value: st.DrawFn, config: CoreConfig) -> ConvolutionCase:
    height, width = draw_value(st.integers(1, 7)), draw_value(st.integers(1, 7))
    return ConvolutionCase(
        layer=draw_value(_layers(config)),
        height=height,
        width=width,
        geometry=draw_value(geometries(height=height, width=width, most=3)),
    )


def _codebooks(config: CoreConfig, weight_format: WeightFormat) -> list[tuple[int, int]]:
    """Codebook sizes and vector dimensions that the core takes."""
    found = []
    for vector_dim in (2, 4, 8, 16, 32):
        for size in (1 << width for width in range(1, 13)):
            try:
                StreamFormat(config=config, weight_format=weight_format, codebook_size=size, vector_dim=vector_dim)
            except FormatError:
                continue
            found.append((size, vector_dim))
    return found


def _channels(tile: int, most: int) -> st.SearchStrategy[int]:
    """From one channel to several ragged tiles; the borders of a tile more often."""
    return st.one_of(st.integers(1, most), st.sampled_from((tile - 1, tile, tile + 1, 2 * tile)))


def _tokens(depth: int) -> st.SearchStrategy[int]:
    return st.one_of(st.sampled_from((1, 2, 3)), st.integers(1, depth), st.integers(depth + 1, 2 * depth + 2))


@st.composite
def behaviours(draw_value: st.DrawFn, config: CoreConfig) -> Behaviour:
    """A memory: its latency, rate and pauses."""
    rates = [0, *(1 << bit for bit in range(config.beat_bytes.bit_length()))]
    stalls = {channel: draw_value(st.sampled_from((0.0, 0.0, 0.1, 0.5, 0.9))) for channel in CHANNELS}
    return Behaviour(
        latency=draw_value(st.one_of(st.sampled_from((0, 1)), st.integers(0, 200))),
        bytes_per_cycle=draw_value(st.sampled_from(rates)),
        stalls=stalls,
        seed=draw_value(st.integers(1, 2**32 - 1)),
    )
