"""Masks of attention as models write them, from their inputs: on the core, and what it cannot do is on the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ssvq.network import GraphError, execute_all, graph_of
from ssvq.network import operators as ops
from ssvq.network.calibration import calibrate
from ssvq.network.compression import compress_graph
from ssvq.network.hosting.assembly import Assembled, assemble, core_candidates
from ssvq.network.hosting.backend import output_values
from ssvq.network.hosting.partitioned_network import CorePart, run_golden
from ssvq.network.program.emission import INPUT, OUTPUT
from ssvq.program import place_input, read_output
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.reference import Int8Array
from ssvq_gen.config import PRESETS
from ssvq_sim.systems.core_model import CoreModel

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


class Heads(nn.Module):
    """Four heads; the mask is for them all."""

    def __init__(self) -> None:
        super().__init__()
        self.packed = nn.Linear(64, 192)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = self.packed(x).unflatten(2, (3, 4, 16)).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(4 * q, k, v, attn_mask=mask, is_causal=mask is None)
        return found.transpose(1, 2).flatten(2)


class Causal(Heads):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)


class Layer(nn.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(64, heads, 128, batch_first=True)

    def forward(self, x: Tensor, left_out: Tensor) -> Tensor:
        found: Tensor = self.layer(x, src_key_padding_mask=left_out)
        return found


def assembled(model: nn.Module, inputs: tuple[Tensor, ...], preset: str) -> Assembled:
    config, graph = PRESETS[preset], graph_of(model, inputs)
    layers = compress_graph(core_candidates(graph, config), lambda _node: INT8)
    return assemble(graph, calibrate(graph, [inputs]), layers, config, strict=False)


def run_exact(made: Assembled, inputs: tuple[Tensor, ...], preset: str) -> Tensor:
    """The output, of which the functional model of the core leaves what the golden model gives."""

    def run_model(part: CorePart, given: Mapping[str, Int8Array]) -> dict[str, Int8Array]:
        network, program = part.compiled.network, part.compiled.program
        window = program.new_memory()
        for own in network.inputs:
            place_input(window, program, given[own.tensor], job=f"{INPUT}{own.name}")
        CoreModel(PRESETS[preset]).run(window, program.descriptor_offset, program.descriptor_count)
        golden = run_golden(part, given)
        for name in network.outputs:
            found = output_values(network, name, read_output(window, program, job=f"{OUTPUT}{name}"))
            assert (found == golden[name]).all(), name
        return golden

    (found,) = made.network.run(inputs, run_model).values()
    return found


def similarity(model: nn.Module, inputs: tuple[Tensor, ...], preset: str) -> tuple[float, Mapping[str, str]]:
    """Cosine of the integer network and the float model, and what is on the host, with the reasons."""
    made = assembled(model, inputs, preset)
    found = run_exact(made, inputs, preset)
    with torch.no_grad():
        expected = model(*inputs)
    return float(functional.cosine_similarity(found.flatten(), expected.flatten(), 0)), made.partition.reasons


def added_products(scores: Tensor, kept: Tensor) -> Tensor:
    """As BERT has it, of whole numbers."""
    return scores + (1.0 - kept[:, None, :].to(scores.dtype)) * torch.finfo(torch.float32).min


def added_where_not_zero(scores: Tensor, kept: Tensor) -> Tensor:
    """As newer exports have it: a mask for each query, filled where a difference is not 0."""
    left_out = 1.0 - kept[:, None, :].expand(1, 12, 12).to(scores.dtype)
    return scores + left_out.masked_fill(left_out.to(torch.bool), torch.finfo(torch.float32).min)


def filled_where_zero(scores: Tensor, kept: Tensor) -> Tensor:
    return scores.masked_fill((kept == 0)[:, None, :], -torch.inf)


def filled_where_left_out(scores: Tensor, left_out: Tensor) -> Tensor:
    return scores.masked_fill((left_out != 0)[:, None, :], -1e9)


def seeded(kind: type[nn.Module], *arguments: object) -> nn.Module:
    torch.manual_seed(0)
    return kind(*arguments).eval()


class FarScores(nn.Module):
    """Scores of a model itself that reach as far as a ViT's may."""

    def forward(self, x: Tensor) -> Tensor:
        return (40 * x).softmax(-1)


def test_scores_that_reach_far_stay_on_the_core() -> None:
    x = torch.randn(1, 12, 32, generator=torch.Generator().manual_seed(3))
    x *= 190 / (40 * x.abs().max())
    cosine, reasons = similarity(FarScores(), (x,), "tiny")
    assert not reasons
    assert cosine > 0.95


def test_a_mask_of_large_numbers_does_not_drown_the_scores() -> None:
    x = torch.randn(1, 12, 32, generator=torch.Generator().manual_seed(1))
    cosine, reasons = similarity(seeded(Attention, added_numbers), (x, KEPT.float()), "tiny")
    assert cosine > 0.99
    assert any("a step of what a softmax takes must be at most 2" in reason for reason in reasons.values())


@pytest.mark.parametrize(("masked", "mask"), [(added_infinity, KEPT), (added_infinity_elsewhere, ~KEPT)])
def test_a_mask_of_infinities_is_the_softmax_s_own(masked: Mask, mask: Tensor) -> None:
    x = torch.randn(1, 12, 32, generator=torch.Generator().manual_seed(1))
    model = seeded(Attention, masked)
    (softmax,) = (node for node in graph_of(model, (x, mask)).nodes if isinstance(node.operator, ops.Softmax))
    assert len(softmax.operands) == 2
    cosine, reasons = similarity(model, (x, mask), "tiny")
    assert cosine > 0.99
    assert set(reasons) <= {"not"}


FORMS: dict[str, tuple[Mask, bool]] = {
    "added products": (added_products, True),
    "added where not zero": (added_where_not_zero, True),
    "filled where zero": (filled_where_zero, True),
    "filled where left out": (filled_where_left_out, False),
}
"""And whether such a mask is of what is kept."""


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.uint8])
@pytest.mark.parametrize("form", FORMS)
def test_a_mask_of_whole_numbers(form: str, dtype: torch.dtype) -> None:
    """The host makes a condition of it and nothing else; what is left out changes nothing where something is kept."""
    masked, of_kept = FORMS[form]
    mask = (KEPT if of_kept else ~KEPT).to(dtype)
    x = torch.randn(1, 12, 32, generator=torch.Generator().manual_seed(1))
    made = assembled(seeded(Attention, masked), (x, mask), "tiny")
    hosted = {type(node.operator) for node in made.partition.graph.nodes if node.name in made.partition.reasons}
    assert hosted <= {ops.Cast, ops.Not, ops.Reshape, ops.Expand}
    assert (ops.Cast in hosted) == (dtype != torch.bool)
    found = run_exact(made, (x, mask), "tiny")
    with torch.no_grad():
        expected = seeded(Attention, masked)(x, mask)
    assert functional.cosine_similarity(found.flatten(), expected.flatten(), 0) > 0.99
    other = torch.where(KEPT[:, :, None], x, -x.flip(2))
    kept = made.network.run_reference((other, mask))["output"][:, KEPT[0]]
    assert torch.equal(kept, found[:, KEPT[0]])
    assert not torch.equal(made.network.run_reference((other, torch.full_like(mask, of_kept)))["output"], found)


def test_a_mask_that_is_no_condition_stays_what_it_is() -> None:
    """A term of -3 leaves nothing out; nor does a mask of real numbers, which may have any, become a condition."""
    x = torch.randn(1, 12, 32, generator=torch.Generator().manual_seed(1))
    for masked, mask in (
        (lambda scores, kept: scores - 3.0 * kept[:, None, :].float(), KEPT.long()),
        (lambda scores, kept: scores + torch.where(kept[:, None, :], -1.0, -torch.inf), KEPT),
        (added_products, KEPT.float()),
    ):
        nodes = graph_of(seeded(Attention, masked), (x, mask)).nodes
        (softmax,) = (node for node in nodes if isinstance(node.operator, ops.Softmax))
        assert len(softmax.operands) == 1


def test_ranges_of_scores_are_those_of_what_is_kept() -> None:
    x = torch.randn(1, 12, 32, generator=torch.Generator().manual_seed(1))
    x[:, 11] *= 100
    graph = graph_of(seeded(Attention, filled_where_zero), (x, KEPT))
    (softmax,) = (node for node in graph.nodes if isinstance(node.operator, ops.Softmax))
    all_of_it = calibrate(graph, [(x, torch.ones_like(KEPT))])[softmax.operands[0]]
    kept = calibrate(graph, [(x, KEPT)])[softmax.operands[0]]
    every_row = execute_all(graph, x, KEPT)[softmax.operands[0]][:, :, :9]
    assert (kept.low, kept.high) == (float(every_row.min()), float(every_row.max()))
    assert kept.low > all_of_it.low


def test_a_causal_mask_is_a_constant_of_the_core() -> None:
    x = torch.randn(1, 12, 64, generator=torch.Generator().manual_seed(1))
    cosine, reasons = similarity(seeded(Causal), (x,), "tiny")
    assert cosine > 0.99
    assert not reasons


def test_a_mask_of_each_query_and_of_all_heads() -> None:
    x = torch.randn(1, 12, 64, generator=torch.Generator().manual_seed(1))
    window = ((torch.arange(12)[:, None] - torch.arange(12)).abs() < 3)[None, None]
    cosine, reasons = similarity(seeded(Heads), (x, window), "tiny")
    assert cosine > 0.99
    assert not reasons


def test_bad_masks() -> None:
    x = torch.randn(1, 12, 64, generator=torch.Generator().manual_seed(1))
    made = assembled(seeded(Heads), (x, KEPT[:, None, None]), "tiny")
    with pytest.raises(GraphError, match=r"mask: the input must be bool \(1, 1, 1, 12\), not int64 \(1, 1, 1, 12\)"):
        made.network.run_reference((x, KEPT[:, None, None].long()))
    queries = torch.ones(1, 1, 12, 1, dtype=torch.bool)
    reasons = assembled(seeded(Heads), (x, queries), "tiny").partition.reasons
    (why,) = (why for name, why in reasons.items() if "softmax" in name)
    assert "must be activations of channels as they are stored" in why


@pytest.mark.parametrize(("heads", "preset"), [(4, "tiny"), (4, "base"), (2, "base")])
def test_a_layer_of_pytorch_with_a_padding_mask(heads: int, preset: str) -> None:
    """Heads of 16 channels are no whole words on `base`, and are there all the same."""
    x = torch.randn(1, 12, 64, generator=torch.Generator().manual_seed(1))
    cosine, reasons = similarity(seeded(Layer, heads), (x, ~KEPT), preset)
    assert cosine > 0.99
    assert set(reasons) == {"layer.self_attn.not"}
