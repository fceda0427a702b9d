from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from trained_models import FORMATS, INT4, INT8, LAYER_NAMES, SSVQ, VQ, images, mixed, rules

from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.quantize.rules import Rule
from ssvq.train.activations import ActivationConfig
from ssvq.train.calibrate import calibrate
from ssvq.train.convert import compressed_layers
from ssvq.train.prepare import (
    Rounding,
    TrainConfig,
    latent_signs,
    original_tensor,
    prepare,
    prepared_layers,
    quantizers,
    weight_form,
)


@pytest.mark.parametrize("weights", FORMATS, ids=lambda config: config.format.value)
def test_training_starts_at_the_encoder_s_result_and_converting_gives_it_back(weights: QuantizeConfig) -> None:
    model = mixed()
    start = prepare(model, rules(weights), progress=False).layers
    assert tuple(start) == LAYER_NAMES
    layers = compressed_layers(model)
    for name, module in prepared_layers(model).items():
        assert torch.equal(module.weight, start[name].module_weight())
        for field in ("codebook", "indices", "signs", "mask", "weight_int8", "scale"):
            before, after = getattr(start[name], field), getattr(layers[name], field)
            assert (before is None and after is None) or torch.equal(before, after), (name, field)


@pytest.mark.parametrize("weights", FORMATS, ids=lambda config: config.format.value)
def test_trained_weights_are_the_stored_ones_bit_for_bit(weights: QuantizeConfig) -> None:
    model = mixed()
    prepare(model, rules(weights), progress=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    before = {name: layer.weight.detach().clone() for name, layer in prepared_layers(model).items()}
    for step in range(5):
        optimizer.zero_grad()
        model(images(seed=step)).square().sum().backward()
        optimizer.step()
    layers = compressed_layers(model)
    for name, module in prepared_layers(model).items():
        assert torch.equal(module.weight, layers[name].module_weight())
        assert not torch.equal(module.weight, before[name])


def test_what_does_not_learn_gets_no_gradient() -> None:
    model = mixed()
    prepare(model, rules(SSVQ, learn_signs=False, learn_codebook=False, learn_scale=False), progress=False)
    model(images()).sum().backward()
    for layer in prepared_layers(model).values():
        form = weight_form(layer)
        assert original_tensor(layer).grad is None
        assert all(parameter.grad is None for parameter in form.parameters())
        assert layer.bias is None or layer.bias.grad is not None


def test_flexround_learns_the_rounding_only() -> None:
    model = mixed()
    prepare(model, rules(INT4, rounding=Rounding.FLEXROUND), progress=False)
    model(images()).sum().backward()
    for layer in prepared_layers(model).values():
        assert original_tensor(layer).grad is None
        assert all(parameter.grad is not None for parameter in weight_form(layer).parameters())


def test_batch_norms_fold_and_the_model_computes_the_same() -> None:
    model, x = mixed(), images()
    expected = model(x).detach()
    fine = QuantizeConfig(format=WeightFormat.INT8)
    prepare(model, rules(fine), example_inputs=(x,), progress=False)
    assert isinstance(model.norm, nn.Identity)
    assert isinstance(model.depthwise_norm, nn.Identity)
    assert torch.allclose(model(x), expected, atol=0.05 * float(expected.abs().max()))


class ClampedNorm(nn.BatchNorm2d):
    """With an activation, as some packages have them."""

    def forward(self, x: Tensor) -> Tensor:
        """Of any images."""
        return super().forward(x).relu()


def test_a_batch_norm_that_does_more_is_refused_and_nothing_changes() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1), ClampedNorm(8)).eval()
    with pytest.raises(ValueError, match="must do nothing else to be folded, and ClampedNorm has a forward of its own"):
        prepare(model, rules(INT8), example_inputs=(images(),), progress=False)
    assert not prepared_layers(model)


def test_a_tensor_has_one_range_and_a_clamp_belongs_to_it() -> None:
    model = mixed()
    prepare(model, rules(SSVQ, activations=ActivationConfig()), example_inputs=(images(),), progress=False)
    assert model.grouped.input_quantizer is model.stem.output_quantizer
    assert model.depthwise.input_quantizer is model.grouped.output_quantizer
    assert model.head.input_quantizer is not model.up.output_quantizer  # there is a mean in between
    found = {name: model.get_submodule(name).output_quantizer.activation for name in LAYER_NAMES}
    assert found == {"stem": "relu", "grouped": "relu6", "depthwise": "none", "up": "none", "head": "none"}
    assert len(quantizers(model)) == 7


def test_state_dict_and_copy_keep_everything() -> None:
    model, x = mixed(), images()
    prepare(model, rules(SSVQ, activations=ActivationConfig()), example_inputs=(x,), progress=False)
    other = mixed(seed=5)
    prepare(other, rules(SSVQ, activations=ActivationConfig()), example_inputs=(x,), progress=False)
    for name, quantizer in quantizers(model).items():
        assert not quantizer.active, name
    calibrate(model, [x], lambda module, batch: module(batch))
    expected = model(x)
    other.load_state_dict(model.state_dict())
    for same in (copy.deepcopy(model), other):
        assert torch.equal(same(x), expected)


# Dynamo itself makes an instance of the autograd function, which PyTorch deprecates
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_torch_compile_gives_the_same() -> None:
    model, x = mixed(), images()
    prepare(model, rules(SSVQ, activations=ActivationConfig()), progress=False)
    gradients: list[list[torch.Tensor]] = []
    for module in (model, torch.compile(model, backend="aot_eager")):
        model.zero_grad()
        module(x).square().sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert gradients[0]
    assert all(torch.allclose(a, b, rtol=1e-4) for a, b in zip(*gradients, strict=True))


def _tied() -> nn.Module:
    model = nn.Module()
    model.first, model.second = nn.Linear(8, 8), nn.Linear(8, 8)
    model.second.weight = model.first.weight
    return model


@pytest.mark.parametrize(
    ("model", "patterns", "text"),
    [
        (mixed(), ["nothing"], "rule 0 matches no Linear, Conv2d or ConvTranspose2d layer: 'nothing'"),
        (mixed(), ["*", "head"], "rule 1 matches only layers that earlier rules decide: 'head'"),
        (_tied(), ["*"], "first: must not share its weight with second.weight; untie them or leave it out"),
    ],
)
def test_rules_and_layers_that_do_not_fit(model: nn.Module, patterns: list[str], text: str) -> None:
    settings = [Rule(pattern=pattern, config=TrainConfig(weights=SSVQ)) for pattern in patterns]
    with pytest.raises(ValueError) as caught:
        prepare(model, settings, progress=False)
    assert str(caught.value) == text
    assert prepared_layers(model) == {}


def test_a_layer_that_cannot_be_encoded_leaves_the_model_as_it_was() -> None:
    model, x = mixed(), images()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    large = QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=512, vector_dim=4)
    settings = [Rule(pattern="head", config=TrainConfig(weights=large)), *rules(SSVQ)]
    with pytest.raises(ValueError, match="head: codebook_size must be at most"):
        prepare(model, settings, example_inputs=(x,), progress=False)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_non_finite_weights_are_refused() -> None:
    model = mixed()
    model.head.weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match="head: weight must be finite, 1 of 120 values are not"):
        prepare(model, rules(SSVQ), progress=False)


def test_a_model_is_prepared_once() -> None:
    model = mixed()
    prepare(model, rules(SSVQ), progress=False)
    with pytest.raises(ValueError, match="stem: is parametrized already, prepare a model once"):
        prepare(model, rules(SSVQ), progress=False)


def test_a_weight_can_be_assigned_where_it_means_something() -> None:
    model = mixed()
    prepare(model, [Rule(pattern="head", config=TrainConfig(weights=SSVQ)), *rules(VQ)], progress=False)
    weight = torch.randn(10, 12)
    model.head.weight = weight
    assert torch.equal(model.head.weight < 0, (weight < 0) & (model.head.weight != 0))
    with pytest.raises(ValueError, match="stem: the weight of a layer in format vq cannot be assigned"):
        model.stem.weight = torch.zeros(16, 3, 3, 3)


def test_latent_signs_are_those_of_the_weights() -> None:
    model = mixed()
    weights = {name: model.get_submodule(name).weight.detach().clone() for name in LAYER_NAMES}
    prepare(model, rules(SSVQ, alpha=2.0), progress=False)
    for name, latent in latent_signs(model).items():
        assert torch.equal(latent, 2 * weights[name])


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"weights": QuantizeConfig(format=WeightFormat.FLOAT)}, "weights: format float has nothing to train"),
        ({"weights": SSVQ, "alpha": 0.0}, "alpha must be positive and finite, not 0.0"),
    ],
)
def test_bad_settings(settings: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        TrainConfig(**settings)  # type: ignore[arg-type]
