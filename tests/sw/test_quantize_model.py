"""compress_model: rules, report, progress, errors."""

from __future__ import annotations

import io

import pytest
import torch
from rich.console import Console
from torch import nn

from ssvq.quantize import QuantizeConfig, Rule, WeightFormat, compress_model, encode_module, sqnr_db

SSVQ = QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=4, vector_dim=8)
INT8 = QuantizeConfig(format=WeightFormat.INT8)


def model() -> nn.Sequential:
    torch.manual_seed(0)
    stem = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(stem, nn.ReLU(), nn.Conv2d(16, 16, 3, groups=4), nn.Flatten(), nn.Linear(32, 10))


def test_first_matching_rule_decides_and_the_rest_is_left_out() -> None:
    rules = [Rule(pattern="4", config=INT8), Rule(pattern="0", config=None), Rule(pattern="*", config=SSVQ)]
    result = compress_model(model(), rules, progress=False)
    assert {name: layer.format for name, layer in result.layers.items()} == {
        "2": WeightFormat.SSVQ,
        "4": WeightFormat.INT8,
    }
    assert result.layers["2"].weight_shape == (16, 4, 3, 3)
    assert result.layers["2"].groups == 4
    assert list(compress_model(model(), rules[:1], progress=False).layers) == ["4"]


def test_report() -> None:
    network = model()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    result = compress_model(network, [Rule(pattern="*", config=SSVQ)], progress=False)
    assert [report.name for report in result.reports] == ["0", "2", "4"]
    for report in result.reports:
        layer = result.layers[report.name]
        assert report.bits_per_weight == layer.bits_per_weight
        assert report.sqnr_db == sqnr_db(network.get_submodule(report.name).get_parameter("weight"), layer.decode())
        assert report.seconds > 0
    bits = sum(layer.storage_bits for layer in result.layers.values())
    assert result.bits_per_weight == bits / sum(layer.weight_count for layer in result.layers.values())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    text = io.StringIO()
    Console(file=text, width=150).print(result.table())
    assert f"{result.reports[0].bits_per_weight:.3f}" in text.getvalue()


def test_progress_bar() -> None:
    text = io.StringIO()
    compress_model(model(), [Rule(pattern="*", config=INT8)], console=Console(file=text, width=120))
    assert "3/3" in text.getvalue()


def test_a_model_that_is_one_layer() -> None:
    assert list(compress_model(nn.Linear(8, 8), [Rule(pattern="*", config=INT8)], progress=False).layers) == ["root"]


def test_importance_of_layers() -> None:
    network = model()
    importance = {"2": torch.rand(16, generator=torch.Generator().manual_seed(0)) ** 4}
    rules = [Rule(pattern="*", config=SSVQ)]
    plain, important = (compress_model(network, rules, given, progress=False).layers for given in (None, importance))
    for name in plain:
        assert torch.equal(plain[name].decode(), important[name].decode()) == (name != "2")
    wanted = encode_module(network.get_submodule("2"), SSVQ, importance["2"])  # type: ignore[arg-type]
    assert torch.equal(important["2"].decode(), wanted.decode())
    with pytest.raises(ValueError, match="importance is given for '1', which is no layer to compress"):
        compress_model(network, rules, {"1": torch.ones(16)}, progress=False)
    with pytest.raises(ValueError, match=r"4: importance must have the shape \(32,\) or \(1, 32\), not \(3,\)"):
        compress_model(network, rules, {"4": torch.ones(3)}, progress=False)


def test_transposed_convolutions() -> None:
    torch.manual_seed(0)
    module = nn.ConvTranspose2d(8, 12, 3, stride=2, padding=1, output_padding=1, dilation=1, groups=2)
    result = compress_model(module, [Rule(pattern="*", config=INT8)], progress=False)
    layer = result.layers["root"]
    assert (layer.kind, layer.weight_shape) == ("conv_transpose2d", (12, 4, 3, 3))
    assert (layer.stride, layer.padding, layer.dilation, layer.groups, layer.output_padding) == (2, 1, 1, 2, 1)
    assert result.reports[0].sqnr_db > 40
    x = torch.randn(2, 8, 5, 5)
    with torch.no_grad():
        wanted = module(x)
        module.weight.copy_(layer.module_weight())
        torch.testing.assert_close(module(x), wanted, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        (["*", "missing.*"], r"rule 1 matches no Linear, Conv2d or ConvTranspose2d layer: 'missing\.\*'"),
        (["*", "4"], "rule 1 matches only layers that earlier rules decide: '4'"),
        (["1"], "rule 0 matches no Linear, Conv2d or ConvTranspose2d layer: '1'"),
    ],
)
def test_a_rule_must_decide_something(rules: list[str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        compress_model(model(), [Rule(pattern=pattern, config=INT8) for pattern in rules], progress=False)


def test_errors_name_the_layer() -> None:
    network = model()
    with torch.no_grad():
        network.get_submodule("2").get_parameter("weight")[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="2: weight must be finite, 1 of 576 values are not"):
        compress_model(network, [Rule(pattern="*", config=INT8)], progress=False)
    large = QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=64, vector_dim=8)
    with pytest.raises(ValueError, match="4: codebook_size must be at most the layer's 40 subvectors, not 64"):
        compress_model(network, [Rule(pattern="4", config=large)], progress=False)


def test_an_empty_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="pattern must not be empty"):
        Rule(pattern="", config=None)


def test_geometry_of_convolutions() -> None:
    layer = encode_module(nn.Conv2d(4, 8, 3, stride=2, padding=1, dilation=3, groups=2), INT8)
    assert (layer.stride, layer.padding, layer.dilation, layer.groups) == (2, 1, 3, 2)
    assert layer.bias is not None
    assert encode_module(nn.Conv2d(4, 8, 5, padding="same", dilation=2), INT8).padding == 4
    assert encode_module(nn.Conv2d(4, 8, 5, padding="valid", bias=False), INT8).bias is None


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (nn.Conv2d(4, 8, 3, stride=(1, 2)), r"c: stride must be the same in both directions, not \(1, 2\)"),
        (nn.Conv2d(4, 8, (1, 3), padding="same"), r"c: padding must be the same in both directions, not \(0, 1\)"),
        (nn.Conv2d(4, 8, 2, padding="same"), r"c: padding 'same' must be even on both sides, kernel \(2, 2\)"),
        (
            nn.ConvTranspose2d(4, 8, 3, stride=2, output_padding=(0, 1)),
            r"c: output_padding must be the same in both",
        ),
        (nn.Conv2d(4, 8, 3, padding=1, padding_mode="reflect"), "c: padding_mode must be 'zeros', not 'reflect'"),
    ],
)
def test_convolutions_that_have_no_plain_geometry(module: nn.Conv2d | nn.ConvTranspose2d, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        encode_module(module, INT8, name="c")
