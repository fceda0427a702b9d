"""The programs of the benchmark on the functional model: whole networks and single products, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from bench_model import CONFIGS, MINI, SMALL, ModelSession, stand_in_simulator

from ssvq.integer_layer import IntegerLayer
from ssvq.program import Program
from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_gen.format import OPEN_ALL, Opcode
from ssvq_sim.bench import run
from ssvq_sim.bench.deit import LATENCY, LOGITS, STEADY, network_program
from ssvq_sim.bench.layers import INT8, SSVQ16, seeded_input, seeded_layer
from ssvq_sim.bench.measurement import Measurement
from ssvq_sim.bench.network import Network, images, make_network
from ssvq_sim.bench.placement import PlacementError, place
from ssvq_sim.bench.run import Runner
from ssvq_sim.bench.shapes import DEIT_TINY, Kind, ProductShape
from ssvq_sim.bench.single import layer_steps
from ssvq_sim.bench.sweep import Networks, buses, layer_measurements, network_measurements


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "Session", ModelSession)


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks(MINI)


def runner(config: CoreConfig, workers: int = 1) -> Runner:
    return Runner({config.name: stand_in_simulator(config)}, workers=workers)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_whole_network(config: CoreConfig, networks: Networks) -> None:
    plan = list(network_measurements(config, buses(config, (4,), 0), networks))
    points = runner(config).run(plan)
    assert [(p.variant, p.format) for p in points] == [
        (variant, name) for name in ("ssvq", "int8") for variant in (LATENCY, STEADY)
    ]
    assert all(p.bit_exact for p in points)
    assert [sum(step.measured for step in m.steps) for m in plan] == [1, 2, 1, 2]
    for measurement, point in zip(plan, points, strict=True):
        assert point.stream_bytes == sum(
            d["dram_bytes"] for d in measurement.steps[-1].program.descriptors() if d["opcode"] == Opcode.MATMUL
        )
        assert point.load_bytes == MINI.image_bytes


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_single_products(config: CoreConfig, networks: Networks) -> None:
    plan = list(layer_measurements(config, buses(config, (1, 4), 0), networks))
    points = runner(config, workers=2).run(plan)
    assert [(m.layer, m.bytes_per_cycle) for m in plan] == [(p.layer, p.bytes_per_cycle) for p in points]
    assert all(p.bit_exact for p in points)
    names = [(p.layer, p.format) for p in points if p.bytes_per_cycle == 1]
    weighted = ["patch", "qkv", "proj", "fc1", "fc2", "head"]
    assert sorted(names) == sorted([*((n, "ssvq") for n in weighted), *((s.name, "int8") for s in MINI.distinct)])
    for measurement in plan:
        load, product, store = measurement.steps
        assert [d["opcode"] for d in product.program.descriptors()] in ([Opcode.MATMUL], [Opcode.PRODUCT])
        assert not product.inputs
        assert {d["opcode"] for d in load.program.descriptors()} == {Opcode.LOAD}
        assert {d["opcode"] for d in store.program.descriptors()} == {Opcode.STORE}
        for name, array in store.expected.items():
            assert (load.inputs[f"{name} before"] != array).all()
        outputs = sum(array.size for array in store.expected.values())
        shape = measurement.works[0].shape
        assert outputs == shape.heads * shape.tokens * shape.out_channels


def test_deit_tiny_on_base() -> None:
    """A block of the real sizes, in the memory of the real core."""
    networks = Networks(replace(DEIT_TINY, blocks=1))
    config = PRESETS["base"]
    plan = network_measurements(config, buses(config, (8,), 0), networks)
    (point,) = runner(config).run([next(m for m in plan if m.variant == STEADY)])
    assert point.bit_exact


def test_wrong_output_is_found(networks: Networks) -> None:
    plan = list(network_measurements(SMALL, buses(SMALL, (8,), 0), networks))

    def damaged(measurement: Measurement) -> Measurement:
        *before, last = measurement.steps
        wrong = last.expected[LOGITS].copy()
        wrong[0, -1] ^= 1
        return replace(measurement, steps=(*before, replace(last, expected={LOGITS: wrong})))

    points = runner(SMALL).run([plan[0], damaged(plan[0]), damaged(plan[1])])
    assert [p.bit_exact for p in points] == [True, False, False]


def test_images_give_different_logits(networks: Networks) -> None:
    first, second = networks.logits(SSVQ16)
    assert (first != second).mean() > 0.5


def descriptors(program: Program, *opcodes: Opcode) -> list[dict[str, int]]:
    return [d for d in program.descriptors() if d["opcode"] in opcodes]


def test_overlap(networks: Networks) -> None:
    """What the schedule has to allow for the network to reach its roofline."""
    network = networks.network(SSVQ16)
    program = network_program(SMALL, network, place(SMALL, MINI), STEADY)
    (load,) = descriptors(program, Opcode.LOAD)
    assert load["matmuls_open"] == 1  # the next image is loaded as soon as the patch embedding is complete
    matrix = descriptors(program, Opcode.MATMUL, Opcode.PRODUCT)
    assert len(matrix) == 1 + MINI.blocks * (4 + 2 * MINI.heads) + 1
    for d in matrix[1:]:
        assert d["matmuls_open"] == 1
        assert d["early_tiles"] > 0
        assert d["loads_open"] == OPEN_ALL  # no product waits for the next image
    (load,) = descriptors(network_program(SMALL, network, place(SMALL, MINI), LATENCY), Opcode.LOAD)
    assert load["destination"] == 0


def spread(values: np.ndarray) -> tuple[float, float]:
    """Standard deviation, and the part of the values that are at a limit of int8."""
    return float(values.std()), float(((values == -128) | (values == 127)).mean())


def layers_of(network: Network) -> Sequence[IntegerLayer]:
    inner = [layer for b in network.blocks for layer in (b.qkv, b.proj, b.fc1, b.fc2)]
    return (network.patch, *inner, network.head)


@pytest.mark.parametrize("choice", [SSVQ16, INT8], ids=str)
def test_values_show_errors(choice: object, networks: Networks) -> None:
    """Outputs use int8 without saturating, and all formats have the same small parameters."""
    assert choice in (SSVQ16, INT8)
    network = networks.network(SSVQ16 if choice == SSVQ16 else INT8)
    x = network.embed(networks.images[0])
    for block in network.blocks:
        qkv = block.qkv.reference(x).output
        x = block.run(x)
        for values in (qkv, x):
            deviation, saturated = spread(values)
            assert deviation > 12
            assert saturated < 0.05
    for layer in layers_of(network):
        assert len(set(zip(layer.mantissa.tolist(), layer.exponent.tolist(), strict=True))) == 1
        assert layer.bias.any()
    for block in network.blocks:
        assert block.qkv.output_scale.zero_point == 0
        assert block.scores.clamp_min == 0


def test_same_values_in_every_process() -> None:
    one, other = (make_network(MINI, SSVQ16) for _ in range(2))
    image = images(MINI, 1)[0]
    assert (one.run(image) == other.run(image)).all()


def test_product_that_does_not_fit() -> None:
    shape = ProductShape(name="wide", kind=Kind.WEIGHTS, tokens=8, in_channels=16, out_channels=4096)
    x, scale = seeded_input(0, shape.tokens, shape.in_channels)
    layer = seeded_layer(shape, INT8, x, scale, seed=0, name="wide")
    with pytest.raises(PlacementError, match="the tensors take 2056 words of activation memory; core 'small' has 1024"):
        layer_steps(SMALL, layer, x)
