"""Whole networks in generated Verilog give what their golden models give, with everything on the core."""

from __future__ import annotations

import pytest
import torch
from test_network_lowering import INT8, SSVQ, compiled, images, small_vit
from torch import Tensor, nn
from torch.nn import functional

from ssvq.network import graph_of
from ssvq.network.calibration import calibrate
from ssvq.network.compilation import compile_network
from ssvq.network.compression import compress_graph, default_choice
from ssvq.network.integer.integer_network import TransferStep
from ssvq.network.program.emission import INPUT, OUTPUT, CompiledNetwork
from ssvq.quantize.formats import QuantizeConfig
from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_sim.behaviour import Behaviour, SimulationJob
from ssvq_sim.runner import run_jobs

WATCHDOG_CYCLES = 20_000


def require_exact(made: CompiledNetwork, sample: Tensor, config: CoreConfig, *others: Tensor) -> None:
    """The core leaves what the golden model gives, of an input and the others."""
    network = made.network
    given = network.quantize_inputs(*(value.numpy() for value in (sample, *others)))
    job = SimulationJob(
        name="network",
        program=made.program,
        inputs={f"{INPUT}{own.name}": given[own.tensor] for own in network.inputs},
        behaviour=Behaviour(latency=20, bytes_per_cycle=2, stalls=None, seed=1),
        watchdog_cycles=WATCHDOG_CYCLES,
    )
    (result,) = run_jobs(config, [job])
    assert result.error is None
    assert result.stray is None
    memory = network.run(given)
    for name in network.outputs:
        found = network.restore(name, result.outputs[f"{OUTPUT}{name}"])
        assert (found == network.output(memory, name)).all()


@pytest.mark.slow
@pytest.mark.cosim
@pytest.mark.parametrize("weights", [INT8, SSVQ], ids=["int8", "ssvq"])
def test_a_transformer(weights: QuantizeConfig) -> None:
    config, sample = PRESETS["tiny"], images(1)[0]
    require_exact(compiled(small_vit(), [sample], config, weights), sample[0], config)


@pytest.mark.slow
@pytest.mark.cosim
def test_a_transformer_with_a_padding_mask() -> None:
    torch.manual_seed(0)
    model, config = nn.TransformerEncoderLayer(32, 4, 32, batch_first=True).eval(), PRESETS["tiny"]
    sample, left_out = torch.randn(1, 13, 32), torch.arange(13)[None] >= 9
    graph = graph_of(Padded(model), (sample, ~left_out))
    layers = compress_graph(graph, lambda node: INT8)
    made = compile_network(graph, calibrate(graph, [(sample, ~left_out)]), layers, config)
    assert sum(".mask." in step.name for step in made.network.steps) == 4
    require_exact(made, sample, config, ~left_out)


class Padded(nn.Module):
    """A layer with a mask that holds where there is a token."""

    def __init__(self, layer: nn.TransformerEncoderLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """(1, T, C) of (1, T, C) and (1, T)."""
        attention = self.layer.self_attn
        packed = functional.linear(x, attention.in_proj_weight, attention.in_proj_bias)
        q, k, v = packed.unflatten(2, (3, 4, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=keep[:, None, None, :])
        x = self.layer.norm1(x + attention.out_proj(mixed.transpose(1, 2).flatten(2)))
        return self.layer.norm2(x + self.layer.linear2(torch.relu(self.layer.linear1(x))))


@pytest.mark.slow
@pytest.mark.cosim
@pytest.mark.parametrize("weights", [INT8, SSVQ], ids=["int8", "ssvq"])
def test_heads_that_share_memory_words(weights: QuantizeConfig) -> None:
    """Of 12 channels: in a word of 16 are channels of one head, or of two."""
    torch.manual_seed(0)
    model, config = nn.TransformerEncoderLayer(48, 4, 48, batch_first=True).eval(), PRESETS["edge"]
    sample, left_out = torch.randn(1, 13, 48), torch.arange(13)[None] >= 9
    graph = graph_of(Padded(model), (sample, ~left_out))
    layers = compress_graph(graph, lambda node: weights)
    made = compile_network(graph, calibrate(graph, [(sample, ~left_out)]), layers, config)
    names = [step.name for step in made.network.steps]
    assert sum(".own." in name for name in names) == 3
    assert sum(name.endswith(".merge") for name in names) == 3
    require_exact(made, sample, config, ~left_out)


class Images(nn.Module):
    """A first layer, pools, a depthwise and a strided convolution, a residual, a concatenation, and a larger image."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.pool = nn.Conv2d(3, 16, 3, 2, 1), nn.MaxPool2d(3, 2, 1)
        self.depthwise, self.project = nn.Conv2d(16, 16, 5, 1, 2, groups=16), nn.Conv2d(16, 16, 1)
        self.down, self.up = nn.Conv2d(16, 16, 3, 2, 1), nn.ConvTranspose2d(32, 8, 4, 2, 1)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 3, H, W) to logits and an image."""
        x = self.pool(functional.relu6(self.first(x)))
        x = torch.relu(x + self.project(functional.relu6(self.depthwise(x))))
        y = self.up(torch.cat([functional.hardswish(self.down(x)), functional.avg_pool2d(x, 2)], dim=1))
        pooled = y.mean((2, 3), keepdim=True)
        return self.head(pooled.flatten(1)), y * torch.sigmoid(pooled)


@pytest.mark.slow
@pytest.mark.cosim
@pytest.mark.parametrize("weights", [INT8, SSVQ], ids=["int8", "ssvq"])
def test_images(weights: QuantizeConfig) -> None:
    torch.manual_seed(0)
    model, sample, config = Images().eval(), torch.randn(1, 3, 32, 24), PRESETS["tiny"]
    graph = graph_of(model, (sample,))
    layers = compress_graph(graph, default_choice(graph, weights))
    made = compile_network(graph, calibrate(graph, [(sample,)]), layers, config)
    require_exact(made, sample, config)


class Large(nn.Module):
    """An image that is larger than the memory of `tiny`, and is used again after a mean of another one made of it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.depthwise = nn.Conv2d(3, 16, 3, 1, 1), nn.Conv2d(16, 16, 5, 1, 2, groups=16)
        self.project, self.head = nn.Conv2d(16, 16, 1), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 3, H, W) to logits and an image."""
        x = functional.relu6(self.first(x))
        y = self.project(functional.hardswish(self.depthwise(x)))
        return self.head(functional.max_pool2d(y, 2).mean((2, 3))), x + y


@pytest.mark.slow
@pytest.mark.cosim
def test_images_in_bands_and_through_dram() -> None:
    torch.manual_seed(0)
    model, sample, config = Large().eval(), torch.randn(1, 3, 40, 32), PRESETS["tiny"]
    graph = graph_of(model, (sample,))
    layers = compress_graph(graph, default_choice(graph, INT8))
    made = compile_network(graph, calibrate(graph, [(sample,)]), layers, config)
    transfers = [step for step in made.network.steps if isinstance(step, TransferStep)]
    stored = {step.target.tensor for step in transfers if made.network.tensors[step.target.tensor].in_dram}
    fetched = {step.source.tensor for step in transfers}
    assert stored & fetched, "something goes to DRAM and comes back"
    assert any(" band 1" in step.name for step in made.network.steps)
    require_exact(made, sample, config)
