"""Sizes of the measured products, where their tensors are, and the rooflines that follow."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from bench_model import CONFIGS, MINI, SMALL

from ssvq.builder import ActivationTensor
from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_sim.bench.layers import INT8, SSVQ16, SSVQ256
from ssvq_sim.bench.limits import Work, bits_per_weight, prefetch_bound, roofline_cycles, work_of
from ssvq_sim.bench.placement import Placement, PlacementError, place
from ssvq_sim.bench.shapes import DEIT_TINY, GEMV, Kind, ProductShape, Transformer

BASE = PRESETS["base"]


def test_deit_tiny() -> None:
    sizes = [(p.tokens, p.in_channels, p.out_channels, p.heads) for p in DEIT_TINY.products]
    block = [(197, 192, 576, 1), (197, 64, 197, 3), (197, 197, 64, 3)]
    block += [(197, 192, 192, 1), (197, 192, 768, 1), (197, 768, 192, 1)]
    assert sizes == [(196, 768, 192, 1), *12 * block, (1, 192, 1000, 1)]
    assert len(sizes) == 74
    weights = sum(p.in_channels * p.out_channels for p in DEIT_TINY.products if p.kind is Kind.WEIGHTS)
    assert weights == 5_647_872
    assert DEIT_TINY.image_bytes == 150_528
    assert [(p.in_channels, p.out_channels, p.tokens) for p in GEMV] == [(384, 1536, 1), (1536, 384, 1)]


def test_figures_of_the_design() -> None:
    """The cycles per image that the design quotes, from weight bits alone."""
    works = {
        (name, choice): [
            Work(
                shape=p,
                compute_cycles=p.compute_cycles(PRESETS[name]),
                stream_bytes=0,
                weight_bytes=p.in_channels * p.out_channels * bits / 8 if p.kind is Kind.WEIGHTS else 0,
            )
            for p in DEIT_TINY.products
        ]
        for name in ("base", "large")
        for choice, bits in (("int8", 8), ("ssvq", 1.5))
    }
    quoted = {("base", 1): (6.00, 1.43), ("base", 2): (3.10, 1.33)}
    quoted |= {("large", 4): (1.51, 0.37), ("large", 8): (0.78, 0.34)}
    for (name, rate), (int8, ssvq) in quoted.items():
        for choice, millions in (("int8", int8), ("ssvq", ssvq)):
            cycles = roofline_cycles(works[name, choice], DEIT_TINY.image_bytes, rate, weights_only=True)
            assert cycles / 1e6 == pytest.approx(millions, rel=0.015)


def test_bits_per_weight() -> None:
    assert [bits_per_weight(choice) for choice in (SSVQ16, SSVQ256, INT8)] == [1.5, 2.0, 8.0]


def test_prefetch_bound() -> None:
    shape = DEIT_TINY.head
    works = [
        Work(shape=shape, compute_cycles=100, stream_bytes=40, weight_bytes=40),
        Work(shape=shape, compute_cycles=10, stream_bytes=90, weight_bytes=90),
    ]
    assert roofline_cycles(works, 20, 1) == 100 + 90 + 20
    assert prefetch_bound(works, 20, 1) == 150
    assert prefetch_bound(works, 20, 2) == 110


def test_work_needs_a_layer_or_none() -> None:
    with pytest.raises(ValueError, match="product 'head' must have a layer exactly if its operand is weights"):
        work_of(BASE, DEIT_TINY.head, INT8)


def test_bad_shapes() -> None:
    with pytest.raises(ValueError, match="sizes of product 'p' must be at least 1"):
        ProductShape(name="p", tokens=1, in_channels=0, out_channels=1)
    with pytest.raises(ValueError, match="width must be a multiple of heads, not 32 and 3"):
        Transformer(width=32, heads=3)


def words(config: CoreConfig, tensor: ActivationTensor) -> set[int]:
    size = tensor.token_words(config)
    return {tensor.word + t * tensor.stride + w for t in range(tensor.tokens) for w in range(size)}


def alive_together(p: Placement) -> list[tuple[ActivationTensor, ...]]:
    """Tensors that are in use at the same time, besides those that stay."""
    return [
        (p.patches,),
        (p.embedded, p.qkv),
        (p.x, p.qkv),
        (p.qkv, *p.scores),
        (p.qkv, p.x),
        (p.x, p.hidden),
        (p.x, p.logits),
    ]


@pytest.mark.parametrize(
    ("config", "network"),
    [(BASE, DEIT_TINY), (PRESETS["large"], DEIT_TINY), *((config, MINI) for config in CONFIGS)],
    ids=lambda value: value.name if isinstance(value, CoreConfig) else "",
)
def test_placement(config: CoreConfig, network: Transformer) -> None:
    p = place(config, network)
    for group in alive_together(p):
        resident = (p.image, *([p.class_token] if p.embedded not in group else []), *group)
        for a, b in combinations(resident, 2):
            assert not words(config, a) & words(config, b)
    assert words(config, p.class_token) < words(config, p.embedded)
    for tensor in (p.qkv, *p.scores, p.hidden, p.embedded, p.x):
        assert tensor.stride % 2 == 1
    assert p.logits.end(config) <= config.activation_depth


@pytest.mark.parametrize(
    ("config", "network", "message"),
    [
        (BASE.replace(activation_bytes=256 << 10), DEIT_TINY, r"take \d+ words of activation memory; core 'base' has"),
        (PRESETS["large"], replace(DEIT_TINY, heads=6), "a multiple of the core's words of 64 bytes, not 32"),
        (SMALL, replace(MINI, patches=16), "there are 17 tokens; the accumulators hold 16"),
    ],
)
def test_network_that_does_not_fit(config: CoreConfig, network: Transformer, message: str) -> None:
    with pytest.raises(PlacementError, match=message):
        place(config, network)
