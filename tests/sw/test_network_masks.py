"""Masks of attention as models write them, from their inputs: what the core cannot do is on the host, and is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ssvq.network import graph_of
from ssvq.network import operators as ops
from ssvq.network.calibration import calibrate
from ssvq.network.compression import compress_graph
from ssvq.network.hosting.assembly import assemble, core_candidates
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq_gen.config import PRESETS

INT8 = QuantizeConfig(format=WeightFormat.INT8)
KEPT = torch.arange(12)[None] < 9


Mask = Callable[[Tensor, Tensor], Tensor]
"""Masked scores (1, T, T) of scores and a mask (1, T)."""


class Attention(nn.Module):
    """One head of strong scores, so that a lost mask or lost scores show."""

    def __init__(self, masked: Mask) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(32, 32) for _ in range(3))
        self.masked = masked

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        scores = 3 * self.query(x) @ self.key(x).transpose(1, 2)
        return self.masked(scores, mask).softmax(-1) @ self.value(x)


def added_numbers(scores: Tensor, kept: Tensor) -> Tensor:
    return scores + (1.0 - kept)[:, None, :] * -1e4


def added_infinity(scores: Tensor, kept: Tensor) -> Tensor:
    return scores + torch.where(kept, 0.0, -torch.inf)[:, None, :]


def added_infinity_elsewhere(scores: Tensor, left_out: Tensor) -> Tensor:
    return scores + torch.where(left_out, -torch.inf, 0.0)[:, None, :]


class Layer(nn.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(64, heads, 128, batch_first=True)

    def forward(self, x: Tensor, left_out: Tensor) -> Tensor:
        found: Tensor = self.layer(x, src_key_padding_mask=left_out)
        return found


def similarity(model: nn.Module, inputs: tuple[Tensor, ...], preset: str) -> tuple[float, Mapping[str, str]]:
    """Cosine of the integer network and the float model, and what is on the host, with the reasons."""
    config, graph = PRESETS[preset], graph_of(model, inputs)
    layers = compress_graph(core_candidates(graph, config), lambda _node: INT8)
    made = assemble(graph, calibrate(graph, [inputs]), layers, config, strict=False)
    (found,) = made.network.run_reference(inputs).values()
    with torch.no_grad():
        expected = model(*inputs)
    return float(functional.cosine_similarity(found.flatten(), expected.flatten(), 0)), made.partition.reasons


def seeded(kind: type[nn.Module], *arguments: object) -> nn.Module:
    torch.manual_seed(0)
    return kind(*arguments).eval()


def test_a_mask_of_large_numbers_does_not_drown_the_scores() -> None:
    x = torch.randn(1, 12, 32, generator=torch.Generator().manual_seed(1))
    cosine, reasons = similarity(seeded(Attention, added_numbers), (x, KEPT.float()), "tiny")
    assert cosine > 0.99
    assert any("a step of what a softmax takes must be at most 1" in reason for reason in reasons.values())


@pytest.mark.parametrize(("masked", "mask"), [(added_infinity, KEPT), (added_infinity_elsewhere, ~KEPT)])
def test_a_mask_of_infinities_is_the_softmax_s_own(masked: Mask, mask: Tensor) -> None:
    x = torch.randn(1, 12, 32, generator=torch.Generator().manual_seed(1))
    model = seeded(Attention, masked)
    (softmax,) = (node for node in graph_of(model, (x, mask)).nodes if isinstance(node.operator, ops.Softmax))
    assert len(softmax.operands) == 2
    cosine, _ = similarity(model, (x, mask), "tiny")
    assert cosine > 0.99


@pytest.mark.parametrize(("heads", "preset"), [(4, "tiny"), (4, "base"), (2, "base")])
def test_a_layer_of_pytorch_with_a_padding_mask(heads: int, preset: str) -> None:
    """Heads of 16 channels are no whole words on `base`: their products are on the host, by name."""
    x = torch.randn(1, 12, 64, generator=torch.Generator().manual_seed(1))
    cosine, reasons = similarity(seeded(Layer, heads), (x, ~KEPT), preset)
    assert cosine > 0.99
    narrow = [reason for reason in reasons.values() if "must begin with a memory word of 32 channels" in reason]
    assert bool(narrow) == ((heads, preset) == (4, "base"))
