"""Random systems: configurations, layers and bus behaviour as plain data. Everything follows from a seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from layers import random_layer

from ssvq.compile import compile_layers
from ssvq.integer_layer import IntegerLayer
from ssvq.reference import exact_matmul
from ssvq_gen.arithmetic import ACCUMULATOR_WIDTH, MANTISSA_MAX, encode_multiplier
from ssvq_gen.config import ACTIVATION_BANKS, CoreConfig, WeightFormat
from ssvq_gen.format import FIELD_BY_NAME, NARROW_BIAS_WIDTH, FormatError, StreamFormat
from ssvq_sim.behaviour import CHANNELS, MEMORY_BASE_DEFAULT, Behaviour, SimulationJob

TIMEOUT_CYCLES = 2_000_000
WATCHDOG_CYCLES = 20_000
"""Far above the longest latency, far below the time-out: a core that hangs is found by its own watchdog."""
_TOP_BYTES = 1 << 24
"""Distance of the highest DRAM window from the end of the address space."""
_WARM_UP = 4
"""Hypothesis begins with the simplest examples; configurations are taken from behind them."""

ACTIVATIONS = ("random", "edges", "minimum", "maximum")
WEIGHTS = ("random", "edges", "minimum", "maximum")
PARAMETERS = ("tuned", "random", "edges")
RECORDS = ("wide", "narrow", "shared", "small")
"""Records of channel parameters in the weight stream: with narrow biases, a shared multiplier, both."""
_FINE_PART = 0.5
_REACH = 90
_EDGES = np.array([-128, -127, -1, 0, 1, 126, 127], dtype=np.int8)
_CLAMPS = ((-128, 127), (-128, -128), (127, 127), (0, 0), (-1, 127), (-128, 0))


@dataclass(frozen=True, kw_only=True)
class LayerCase:
    """One layer and its input.

    `activations`, `weights` and `parameters` say which values are drawn, `records` how parameters are stored.
    """

    weight_format: str
    codebook_size: int
    vector_dim: int
    in_channels: int
    out_channels: int
    tokens: int
    activations: str
    weights: str
    parameters: str
    seed: int
    records: str = "wide"

    def build(self, name: str) -> tuple[IntegerLayer, npt.NDArray[np.int8]]:
        """The layer and its input, int8 (T, K)."""
        rng = np.random.default_rng(self.seed)
        weight_format = WeightFormat[self.weight_format.upper()]
        layer = random_layer(
            rng,
            weight_format=weight_format,
            out_channels=self.out_channels,
            in_channels=self.in_channels,
            codebook_size=self.codebook_size,
            vector_dim=self.vector_dim,
            name=name,
        )
        layer = _with_weights(rng, layer, self.weights)
        x = _values(rng, self.activations, (self.tokens, self.in_channels))
        if self.parameters == "edges":
            layer = _with_edge_parameters(rng, layer)
        elif self.parameters == "tuned":
            layer = _with_tuned_parameters(rng, layer, x)
        return _with_records(layer, self.records), x


def _values(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> npt.NDArray[np.int8]:
    match kind:
        case "random":
            return rng.integers(-128, 128, shape, dtype=np.int8)
        case "edges":
            return rng.choice(_EDGES, shape)
        case "minimum":
            return np.full(shape, -128, dtype=np.int8)
        case "maximum":
            return np.full(shape, 127, dtype=np.int8)
    raise ValueError(f"values must be one of {', '.join(ACTIVATIONS)}, not {kind!r}")


def _with_weights(rng: np.random.Generator, layer: IntegerLayer, kind: str) -> IntegerLayer:
    """The layer with all weights of a kind; magnitudes of SSVQ are 127 and their signs make the difference."""
    if kind == "random":
        return layer
    if layer.codebook is None or layer.indices is None:
        return replace(layer, weight=_values(rng, kind, layer.weight.shape))
    codebook = _values(rng, kind, layer.codebook.shape)
    signs = layer.signs
    if layer.weight_format is WeightFormat.SSVQ:
        codebook = np.minimum(np.abs(codebook.astype(np.int16)), 127).astype(np.int8)
    if signs is not None and kind != "edges":
        signs = np.full(signs.shape, kind == "minimum")
    decoded = codebook[layer.indices].reshape(layer.out_channels, -1)
    weight = np.where(signs, -decoded, decoded) if signs is not None else decoded
    return replace(layer, weight=weight[:, : layer.in_channels], codebook=codebook, signs=signs)


def _with_tuned_parameters(rng: np.random.Generator, layer: IntegerLayer, x: npt.NDArray[np.int8]) -> IntegerLayer:
    """Every channel either spreads its sums over int8, or shows those near one of them to the last bit."""
    sums = exact_matmul(x, layer.weight)
    centre = sums[rng.integers(x.shape[0], size=layer.out_channels), np.arange(layer.out_channels)]
    reach = np.maximum(np.abs(sums - centre).max(axis=0), 1)
    fine = rng.random(layer.out_channels) < _FINE_PART
    multipliers = np.where(fine, 1.0, np.minimum(_REACH / reach, 1.0))
    encoded = np.array([encode_multiplier(float(value)) for value in multipliers])
    return replace(
        layer,
        bias=rng.integers(-20, 21, layer.out_channels) - centre,
        mantissa=encoded[:, 0],
        exponent=encoded[:, 1],
        output_scale=replace(layer.output_scale, zero_point=int(rng.integers(-10, 11))),
    )


def _with_edge_parameters(rng: np.random.Generator, layer: IntegerLayer) -> IntegerLayer:
    """Biases up to the limit of int32, smallest and largest multipliers, narrow clamps."""
    channels = layer.out_channels
    room = (1 << (ACCUMULATOR_WIDTH - 1)) - 1 - 128 * np.abs(layer.weight.astype(np.int64)).sum(axis=1)
    clamp = _CLAMPS[rng.integers(len(_CLAMPS))]
    return replace(
        layer,
        bias=room * rng.choice(np.array([-1, 0, 1]), channels),
        mantissa=rng.choice(np.array([0, 1, MANTISSA_MAX - 1, MANTISSA_MAX]), channels),
        exponent=rng.choice(np.array([0, 1, 14, 15]), channels),
        output_scale=replace(layer.output_scale, zero_point=int(rng.choice(_EDGES))),
        clamp_min=clamp[0],
        clamp_max=clamp[1],
    )


def _with_records(layer: IntegerLayer, kind: str) -> IntegerLayer:
    """The layer with its biases cut to int16 at the smallest shift, and the multiplier of channel 0 in all."""
    if kind in ("narrow", "small"):
        limit = (1 << (NARROW_BIAS_WIDTH - 1)) - 1
        largest = int(np.abs(layer.bias).max())
        shift = min(max(0, largest.bit_length() - limit.bit_length()), FIELD_BY_NAME["bias_shift"].bounds[1])
        narrow = np.minimum(np.abs(layer.bias) >> shift, limit)
        layer = replace(layer, bias=np.sign(layer.bias) * narrow << shift, bias_shift=shift)
    if kind in ("shared", "small"):
        mantissa, exponent = (np.full_like(values, values[0]) for values in (layer.mantissa, layer.exponent))
        layer = replace(layer, mantissa=mantissa, exponent=exponent, shared_multiplier=True)
    return layer


@dataclass(frozen=True, kw_only=True)
class SystemCase:
    """A program of several layers on a core, and its memory's behaviour."""

    config: CoreConfig
    layers: tuple[LayerCase, ...]
    behaviour: Behaviour
    memory_base: int

    def to_json(self) -> str:
        """One line that `from_json` reads."""
        data = {
            "config": self.config.to_dict(),
            "layers": [asdict(layer) for layer in self.layers],
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
            behaviour=Behaviour.from_dict(data["behaviour"]),
            memory_base=data["memory_base"],
        )

    def build(self, name: str) -> tuple[SimulationJob, Mapping[str, npt.NDArray[np.int8]]]:
        """The job, and the outputs that the integer reference expects of it."""
        built = [layer.build(f"{name}_{index}") for index, layer in enumerate(self.layers)]
        job = SimulationJob(
            name=name,
            program=compile_layers(self.config, [(layer, x.shape[0]) for layer, x in built]),
            inputs={layer.name: x for layer, x in built},
            behaviour=self.behaviour,
            memory_base=self.memory_base,
            timeout_cycles=TIMEOUT_CYCLES,
            watchdog_cycles=WATCHDOG_CYCLES,
        )
        return job, {layer.name: layer.reference(x).output for layer, x in built}


def draw(strategy: st.SearchStrategy[Any], count: int, *, random_seed: int) -> list[Any]:
    """`count` examples of a strategy, the same for the same seed; the simplest come first."""
    examples: list[Any] = []

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
    rows, bus = (4, 8, 16)[index % 3], (32, 64, 128, 256, 512)[index % 5]
    cols = 32 if index in (6, 9) else (8, 16)[index // 2 % 2]
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
        formats=fixed_formats.get(index, ("int8", "ssvq", "vq")),  # type: ignore[arg-type]
    )
    choices = base.lane_choices
    return base.replace(
        decode_lanes=choices[index // 3 % len(choices)],
        requantize_lanes=1 << draw_value(st.integers(0, cols.bit_length() - 1)),
    )


@st.composite
def system_cases(draw_value: st.DrawFn, config: CoreConfig) -> SystemCase:
    """A case that `config` can run."""
    top = (1 << config.axi_addr_width) - _TOP_BYTES
    return SystemCase(
        config=config,
        layers=tuple(draw_value(st.lists(_layers(config), min_size=1, max_size=4))),
        behaviour=draw_value(_behaviours(config)),
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
def _behaviours(draw_value: st.DrawFn, config: CoreConfig) -> Behaviour:
    rates = [0, *(1 << bit for bit in range(config.beat_bytes.bit_length()))]
    stalls = {channel: draw_value(st.sampled_from((0.0, 0.0, 0.1, 0.5, 0.9))) for channel in CHANNELS}
    return Behaviour(
        latency=draw_value(st.one_of(st.sampled_from((0, 1)), st.integers(0, 200))),
        bytes_per_cycle=draw_value(st.sampled_from(rates)),
        stalls=stalls,
        seed=draw_value(st.integers(1, 2**32 - 1)),
    )
