"""Random programs for a core, whose outputs are spread over int8 so that every wrong accumulator shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from layers import random_layer

from ssvq.compile import CompileError, compile_layers
from ssvq.integer_layer import IntegerLayer
from ssvq.reference import ActivationScale, exact_matmul
from ssvq_gen.arithmetic import ACCUMULATOR_WIDTH, ACTIVATION_MIN, MANTISSA_MAX, MAGNITUDE_MAX
from ssvq_gen.config import CoreConfig
from ssvq_sim.behaviour import CHANNELS, Behaviour, SimulationJob

_WINDOW_BYTES = 16 << 20


def _spread(layer: IntegerLayer, x: npt.NDArray[np.int8], rng: np.random.Generator) -> IntegerLayer:
    """Multipliers and biases with which the outputs cover int8, so that a wrong accumulator shows."""
    sums = exact_matmul(x, layer.weight).astype(np.float64)
    deviation = np.maximum(sums.std(axis=0), 1.0)
    multiplier = np.minimum(rng.uniform(20, 90, layer.out_channels) / deviation, 3.9)
    exponent = np.clip(np.floor(1 - np.log2(multiplier)).astype(np.int64), 0, 15)
    mantissa = np.clip(multiplier * 2.0 ** (10 + exponent), 1, MANTISSA_MAX).astype(np.int64)
    bias = (-sums.mean(axis=0) + rng.normal(0, 0.3, layer.out_channels) * deviation).astype(np.int64)
    return replace(layer, bias=bias, mantissa=mantissa, exponent=exponent, output_scale=ActivationScale(scale=0.1))


def _extreme(layer: IntegerLayer, rng: np.random.Generator) -> IntegerLayer:
    """Biases at the edge of int32, extreme multipliers and clamps."""
    channels = layer.out_channels
    room = (1 << (ACCUMULATOR_WIDTH - 1)) - 1 + ACTIVATION_MIN * np.abs(layer.weight.astype(np.int64)).sum(axis=1)
    low, high = sorted(rng.integers(-128, 128, 2).tolist())
    return replace(
        layer,
        bias=room * rng.choice((-1, 0, 1), channels),
        mantissa=rng.choice((0, 1, 2048, MANTISSA_MAX), channels),
        exponent=rng.choice((0, 7, 15), channels),
        output_scale=ActivationScale(scale=0.1, zero_point=int(rng.choice((-128, 0, 127)))),
        clamp_min=low,
        clamp_max=high,
    )


def _largest_codewords(layer: IntegerLayer) -> IntegerLayer:
    """All magnitudes 127, or all weights -128."""
    if layer.codebook is None:
        return replace(layer, weight=np.full_like(layer.weight, ACTIVATION_MIN))
    codebook = np.full_like(layer.codebook, MAGNITUDE_MAX if layer.signs is not None else ACTIVATION_MIN)
    weight = np.full_like(layer.weight, codebook[0, 0])
    if layer.signs is not None:
        weight = np.where(layer.signs[:, : weight.shape[1]], -weight, weight)
    return replace(layer, codebook=codebook, weight=weight)


def _inputs(kind: str, tokens: int, channels: int, rng: np.random.Generator) -> npt.NDArray[np.int8]:
    if kind == "random":
        return rng.integers(-128, 128, (tokens, channels), dtype=np.int8)
    return np.full((tokens, channels), int(kind), dtype=np.int8)


@st.composite
def layers(draw: st.DrawFn, core: CoreConfig, name: str) -> tuple[IntegerLayer, npt.NDArray[np.int8]]:
    """A layer that the core can decode, and its input."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="values"))
    dims = [d for d in (2, 4, 8, 16, 32) if d <= core.max_vector_dim]
    dim = draw(st.sampled_from(dims), label="vector_dim")
    sizes = [1 << i for i in range(1, core.index_width + 1) if (1 << i) * max(1, dim // 4) <= core.codebook_depth]
    layer = random_layer(
        rng,
        weight_format=draw(st.sampled_from(core.formats), label="format"),
        out_channels=draw(st.integers(1, 4 * core.cols), label="out_channels"),
        in_channels=draw(st.integers(1, 6 * core.rows), label="in_channels"),
        codebook_size=draw(st.sampled_from(sizes), label="codebook_size"),
        vector_dim=dim,
        name=name,
    )
    x = _inputs(
        draw(st.sampled_from(("random", "random", "random", "-128", "127")), label="activations"),
        draw(st.one_of(st.integers(1, 8), st.integers(1, 80)), label="tokens"),
        layer.in_channels,
        rng,
    )
    if draw(st.sampled_from((False, False, False, True)), label="largest codewords"):
        layer = _largest_codewords(layer)
    extreme = draw(st.sampled_from((False, False, True)), label="extreme parameters")
    return _extreme(layer, rng) if extreme else _spread(layer, x, rng), x


@st.composite
def behaviours(draw: st.DrawFn, core: CoreConfig) -> Behaviour:
    """Latency, pace and random pauses of the memory."""
    rates = [0] + [1 << i for i in range(core.beat_bytes.bit_length())]
    probabilities = st.sampled_from((0.0, 0.0, 0.2, 0.6, 0.9))
    return Behaviour(
        latency=draw(st.sampled_from((0, 1, 7, 40, 300))),
        bytes_per_cycle=draw(st.sampled_from(rates)),
        stalls={channel: draw(probabilities) for channel in CHANNELS},
        seed=draw(st.integers(0, 2**32 - 1)),
    )


@st.composite
def systems(draw: st.DrawFn, core: CoreConfig) -> tuple[SimulationJob, list[IntegerLayer]]:
    """A program of one to three layers, and a memory to run it on."""
    work = [draw(layers(core, f"layer{i}")) for i in range(draw(st.integers(1, 3), label="layers"))]
    kept = []
    for layer, x in work:
        try:
            compile_layers(core, [(layer, x.shape[0])])
        except CompileError:
            continue  # one token of it does not fit a small activation memory
        kept.append((layer, x))
    if not kept:
        kept = [(work[0][0].select_channels(0, 1), work[0][1][:, :])]
    program = compile_layers(core, [(layer, x.shape[0]) for layer, x in kept])
    pages = min((1 << core.axi_addr_width) - _WINDOW_BYTES, (1 << 63)) // 4096
    job = SimulationJob(
        name="random",
        program=program,
        inputs={layer.name: x for layer, x in kept},
        behaviour=draw(behaviours(core)),
        memory_base=4096 * draw(st.integers(0, pages), label="page"),
        timeout_cycles=5_000_000,
        watchdog_cycles=100_000,
    )
    return job, [layer for layer, _ in kept]
