from __future__ import annotations

import pytest
from torch import nn
from trained_models import INT4, LAYER_NAMES, MVQ, SSVQ, VQ, mixed, rules

from ssvq.quantize.formats import QuantizeConfig
from ssvq.train.activations import ActivationConfig
from ssvq.train.parameter_groups import ParameterKind, learning_rate_factor, parameter_groups, parameter_kinds
from ssvq.train.prepare import Rounding, prepare
from ssvq.train.settings import OptimizerSettings

K = ParameterKind


def _kinds(weights: QuantizeConfig, **settings: object) -> dict[str, ParameterKind]:
    model = mixed().requires_grad_()
    prepare(model, rules(weights, activations=ActivationConfig(learn=True), **settings), progress=False)
    return parameter_kinds(model)


@pytest.mark.parametrize("weights", [SSVQ, VQ, MVQ, INT4], ids=lambda config: config.format.value)
def test_kinds_of_compressed_layers(weights: QuantizeConfig) -> None:
    kinds = _kinds(weights)
    original = {SSVQ: K.SIGN, VQ: K.CODEBOOK, MVQ: K.CODEBOOK, INT4: K.INTEGER}[weights]
    for name in LAYER_NAMES:
        form = f"{name}.parametrizations.weight"
        assert kinds.pop(f"{form}.original") is original
        assert kinds.pop(f"{form}.0.scale.log_gain") is K.SCALE
        if weights is SSVQ:
            assert kinds.pop(f"{form}.0.codebook") is K.CODEBOOK
        for part in ("input_quantizer", "output_quantizer"):
            assert kinds.pop(f"{name}.{part}.scale.log_gain") is K.ACTIVATION
    assert set(kinds) == {
        *("norm.weight", "norm.bias", "depthwise_norm.weight", "depthwise_norm.bias"),
        *("grouped.bias", "up.bias", "head.bias"),
    }
    assert set(kinds.values()) == {K.OTHER}


def test_what_does_not_learn_is_in_no_group() -> None:
    kinds = _kinds(SSVQ, learn_signs=False, learn_codebook=False)
    assert K.SIGN not in kinds.values()
    assert K.CODEBOOK not in kinds.values()
    kinds = _kinds(INT4, rounding=Rounding.FLEXROUND)
    integers = {name.rpartition(".")[2] for name, kind in kinds.items() if kind is K.INTEGER}
    assert integers == {"element", "output_channel", "input_channel"}


def test_only_uncompressed_matrices_decay() -> None:
    model = nn.ModuleDict({"table": nn.Embedding(4, 3), "attention": nn.MultiheadAttention(4, 2), "body": mixed()})
    prepare(model["body"], rules(SSVQ), progress=False)
    model.register_parameter("positions", nn.Parameter(model["table"].weight.detach().clone()))
    model.requires_grad_()
    settings = OptimizerSettings(
        learning_rate=1.0,
        sign_learning_rate=2.0,
        codebook_learning_rate=3.0,
        scale_learning_rate=0.0,
        uncompressed_learning_rate=5.0,
        weight_decay=0.5,
    )
    groups = {group["kind"]: group for group in parameter_groups(model, settings)}
    assert groups[K.MATRIX]["names"] == ["attention.in_proj_weight", "attention.out_proj.weight"]
    rates = {kind: (group["lr"], group["weight_decay"]) for kind, group in groups.items()}
    assert rates == {K.SIGN: (2, 0), K.CODEBOOK: (3, 0), K.SCALE: (0, 0), K.MATRIX: (5, 0.5), K.OTHER: (5, 0)}
    parameters = [parameter for group in groups.values() for parameter in group["params"]]
    assert len({id(parameter) for parameter in parameters}) == len(parameters)
    assert {id(p) for p in model.parameters() if p.requires_grad} == {id(parameter) for parameter in parameters}


def test_a_model_that_does_not_learn_is_refused() -> None:
    with pytest.raises(ValueError, match="Mixed has no parameter that learns"):
        parameter_groups(mixed().requires_grad_(False), OptimizerSettings())


def test_the_learning_rate_rises_and_falls() -> None:
    settings = OptimizerSettings(warmup=0.1, final=0.2)
    factors = [learning_rate_factor(settings, step, 1000) for step in range(1000)]
    assert factors[0] == 0.01
    assert factors[49] == 0.5
    assert factors[99] == factors[100] == 1.0
    assert factors[550] == pytest.approx(0.6)
    assert factors[999] == pytest.approx(0.2, abs=1e-4)
    assert factors[100:] == sorted(factors[100:], reverse=True)
    assert learning_rate_factor(OptimizerSettings(), 0, 1) == 1.0
    assert [learning_rate_factor(OptimizerSettings(warmup=1.0), step, 4) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
