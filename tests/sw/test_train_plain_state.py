"""A trained model's weights by the names that it had before it was prepared."""

from __future__ import annotations

import copy

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from trained_models import FORMATS, INT8, LAYER_NAMES, SSVQ, images, mixed, rules

from ssvq.quantize.formats import QuantizeConfig
from ssvq.train.activations import ActivationConfig
from ssvq.train.calibrate import calibrate
from ssvq.train.convert import compressed_layers
from ssvq.train.plain_state import plain_state
from ssvq.train.prepare import prepare


@pytest.mark.parametrize("weights", FORMATS, ids=lambda weights: weights.format.value)
def test_the_model_as_it_was_computes_the_same(weights: QuantizeConfig) -> None:
    model, x = mixed(), images()
    prepare(model, rules(weights), example_inputs=(x,), progress=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.03125)
    state, layers = plain_state(model), compressed_layers(model)
    plain = mixed(seed=7)
    plain.load_state_dict(state)
    for name in LAYER_NAMES:
        assert torch.equal(plain.get_submodule(name).get_parameter("weight"), layers[name].module_weight()), name
    assert torch.allclose(plain(x), model(x), rtol=1e-4, atol=1e-4)
    assert float(plain.norm.get_buffer("running_mean").abs().max()) > 0.1  # the stem has no bias of its own


def test_ranges_of_activations_are_not_in_it() -> None:
    model = mixed()
    prepare(model, rules(SSVQ, activations=ActivationConfig()), example_inputs=(images(),), progress=False)
    calibrate(model, [(images(),)], lambda module, batch: module(*batch))
    assert set(plain_state(model)) == set(mixed().state_dict())


class Normed(nn.Module):
    """A batch norm without factors behind a layer with a bias, in modules whose names are like others'."""

    def __init__(self) -> None:
        super().__init__()
        self.root, self.root_norm = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8, affine=False)
        nn.init.normal_(self.root_norm.get_buffer("running_mean"))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, 8, H, W)."""
        y: Tensor = self.root_norm(self.root(x))
        return y


def test_a_bias_stays_where_it_was() -> None:
    torch.manual_seed(0)
    model, x = Normed().eval(), images()
    prepare(model, rules(INT8), example_inputs=(x,), progress=False)
    plain = Normed().eval()
    plain.load_state_dict(plain_state(model))
    assert torch.equal(plain.root.get_parameter("bias"), model.root.get_parameter("bias"))
    assert torch.allclose(plain(x), model(x), rtol=1e-5, atol=1e-5)


def test_a_layer_alone_and_a_model_that_was_never_prepared() -> None:
    layer = nn.Linear(8, 4)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    assert all(torch.equal(value, before[name]) for name, value in plain_state(layer).items())
    prepare(layer, rules(INT8), progress=False)
    assert set(plain_state(layer)) == set(before)
    assert torch.equal(plain_state(layer)["bias"], before["bias"])


@pytest.mark.parametrize("weights", [*FORMATS, INT8], ids=lambda weights: weights.format.value)
@pytest.mark.parametrize("layer", [nn.Conv2d(16, 8, 3), nn.ConvTranspose2d(16, 8, 2), nn.Linear(16, 8)], ids=type)
def test_it_is_kept_in_a_file(layer: nn.Module, weights: QuantizeConfig) -> None:
    layer = copy.deepcopy(layer)
    prepare(layer, rules(weights), progress=False)
    state = plain_state(layer)
    kept = safetensors.torch.load(safetensors.torch.save(state))
    assert all(torch.equal(kept[name], value) for name, value in state.items())
