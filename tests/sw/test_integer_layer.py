"""From a compressed layer to integers: equal to the float layer up to rounding, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssvq.channel_parameters import ROUNDING_MAX, channel_parameters, narrow_biases
from ssvq.compile import compile_layer
from ssvq.integer_layer import CompileError, IntegerLayer
from ssvq.quantize import CompressedLayer, QuantizeConfig, WeightFormat, encode_module
from ssvq.reference import ActivationScale
from ssvq.weight_stream import parameter_fields
from ssvq_gen.arithmetic import MANTISSA_MAX, ArithmeticRangeError, check_accumulator, decode_multiplier
from ssvq_gen.config import PRESETS
from ssvq_gen.config import WeightFormat as CoreFormat
from ssvq_sim.systems.layers import random_layer

FORMATS = [
    QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=16, vector_dim=8),
    QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=16, vector_dim=8, scale="layer"),
    QuantizeConfig(format=WeightFormat.VQ, codebook_size=16, vector_dim=4),
    QuantizeConfig(format=WeightFormat.INT8),
]


def linear(in_channels: int = 30, out_channels: int = 21) -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(in_channels, out_channels)


def integers(layer: CompressedLayer, x: torch.Tensor, activation: str = "none") -> tuple[IntegerLayer, torch.Tensor]:
    """The integer layer for the ranges that x produces, and the float outputs of the decoded weights."""
    y = torch.nn.functional.linear(x, layer.decode().flatten(1), layer.bias)
    y = {"none": lambda v: v, "relu": torch.relu, "relu6": torch.nn.functional.relu6}[activation](y)
    fixed = IntegerLayer.from_compressed(
        layer,
        input_scale=ActivationScale.from_values(x.numpy()),
        output_scale=ActivationScale.from_values(y.numpy()),
        activation=activation,
    )
    return fixed, y


@pytest.mark.parametrize("config", FORMATS)
@pytest.mark.parametrize("activation", ["none", "relu", "relu6"])
def test_close_to_the_float_layer(config: QuantizeConfig, activation: str) -> None:
    layer = encode_module(linear(), config, name="fc")
    x = 3 * torch.randn(64, 30) + 1
    fixed, y = integers(layer, x, activation)
    output = fixed.reference(fixed.input_scale.quantize(x.numpy())).output
    real = fixed.output_scale.dequantize(output)
    # Inputs are off by up to half a step each, outputs by half a step.
    slack = 0.51 * fixed.input_scale.scale * np.abs(layer.decode().flatten(1).numpy()).sum(axis=1)
    assert (np.abs(real - y.numpy()) <= slack + 1.1 * fixed.output_scale.scale).all()


def test_gains_give_every_channel_its_own_steps() -> None:
    """A channel of values 1000 times as large as those of the others, which a single step could not tell apart."""
    module = linear()
    module.weight.data[3] *= 1000
    layer = encode_module(module, FORMATS[3], name="fc")
    x = torch.randn(64, 30)
    y = torch.nn.functional.linear(x, layer.decode().flatten(1), layer.bias)
    gains = tuple((y.abs().amax(0) / y.abs().max()).tolist())
    scale = ActivationScale(scale=float(y.abs().max()) / 127, gains=gains)
    fixed = IntegerLayer.from_compressed(
        layer, input_scale=ActivationScale.from_values(x.numpy()), output_scale=scale, activation="none"
    )
    output = fixed.reference(fixed.input_scale.quantize(x.numpy())).output
    slack = 0.51 * fixed.input_scale.scale * np.abs(layer.decode().flatten(1).numpy()).sum(axis=1)
    steps = scale.scale * np.array(gains)
    assert (np.abs(scale.dequantize(output) - y.numpy()) <= slack + 1.1 * steps).all()
    assert (np.abs(output.astype(int)).max(axis=0) > 100).all()


@pytest.mark.parametrize(
    ("before", "behind", "activation", "rule"),
    [
        ((1.0,) * 30, (), "none", "input_scale must not have gains"),
        ((), (1.0,) * 20, "none", "output_scale must have 21 gains or none, not 20"),
        ((), (1.0,) * 21, "relu6", "output_scale must not have gains when relu6 follows"),
    ],
)
def test_gains_that_cannot_be(before: tuple[float, ...], behind: tuple[float, ...], activation: str, rule: str) -> None:
    layer = encode_module(linear(), FORMATS[3], name="fc")
    with pytest.raises(CompileError, match=f"layer 'fc': {rule}"):
        IntegerLayer.from_compressed(
            layer,
            input_scale=ActivationScale(scale=0.1, gains=before),
            output_scale=ActivationScale(scale=0.2, gains=behind),
            activation=activation,
        )


def test_bias_folds_the_zero_point() -> None:
    layer = encode_module(linear(), FORMATS[3], name="fc")
    scale = ActivationScale(scale=0.1, zero_point=7)
    fixed = IntegerLayer.from_compressed(
        layer, input_scale=scale, output_scale=ActivationScale(scale=0.2), exact_bias=True
    )
    assert layer.bias is not None
    for n in range(fixed.out_channels):
        quotient = float(layer.bias[n].double()) / (0.1 * float(layer.scale[n].double()))
        assert fixed.bias[n] == np.floor(quotient + 0.5) - 7 * int(fixed.weight[n].astype(int).sum())
        multiplier = decode_multiplier(int(fixed.mantissa[n]), int(fixed.exponent[n]))
        assert multiplier == pytest.approx(0.5 * float(layer.scale[n]), rel=1e-2)


def test_pointwise_convolution_is_a_matmul() -> None:
    torch.manual_seed(1)
    convolution = torch.nn.Conv2d(24, 10, 1, bias=False)
    layer = encode_module(convolution, FORMATS[0], name="conv")
    fixed, _ = integers(layer, torch.randn(9, 24))
    assert fixed.weight.shape == (10, 24)
    np.testing.assert_array_equal(fixed.weight, layer.integer_weight()[:, 0].numpy())
    output = compile_layer(PRESETS["base"], fixed, 9).job().output
    assert output is not None
    assert output.channels == 10


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"kernel_size": 3}, "a convolution must have a 1x1 kernel, not 3x3"),
        ({"kernel_size": 1, "stride": 2}, "a convolution must have stride 1, not 2"),
        ({"kernel_size": 1, "padding": 1}, "a convolution must have padding 0, not 1"),
        ({"kernel_size": 1, "groups": 2}, "a convolution must have groups 1, not 2"),
    ],
)
def test_other_convolutions_are_refused(options: dict[str, int], rule: str) -> None:
    layer = encode_module(torch.nn.Conv2d(8, 8, **options), FORMATS[3], name="conv")  # type: ignore[arg-type]
    scale = ActivationScale(scale=0.1)
    with pytest.raises(CompileError) as caught:
        IntegerLayer.from_compressed(layer, input_scale=scale, output_scale=scale)
    assert (caught.value.layer, caught.value.rule) == ("conv", rule)


def test_float_weights_are_refused() -> None:
    layer = encode_module(linear(), QuantizeConfig(format=WeightFormat.FLOAT), name="fc")
    scale = ActivationScale(scale=0.1)
    with pytest.raises(CompileError, match="layer 'fc': format float cannot run on the core, only int8, ssvq, vq"):
        IntegerLayer.from_compressed(layer, input_scale=scale, output_scale=scale)


@pytest.mark.parametrize(
    "config",
    [
        QuantizeConfig(format=WeightFormat.MVQ, codebook_size=16, vector_dim=8, keep=2, group=4),
        QuantizeConfig(format=WeightFormat.INT4),
    ],
)
def test_formats_that_the_core_does_not_know_are_refused(config: QuantizeConfig) -> None:
    scale = ActivationScale(scale=0.1)
    rule = f"format {config.format.value} cannot run on the core, only int8, ssvq, vq"
    with pytest.raises(CompileError, match=rule):
        IntegerLayer.from_compressed(encode_module(linear(), config), input_scale=scale, output_scale=scale)


def test_a_layer_may_bring_its_scales_and_its_activation() -> None:
    plain = encode_module(linear(), FORMATS[0], name="fc")
    scales = {"input_scale": ActivationScale(scale=0.1, zero_point=3), "output_scale": ActivationScale(scale=0.2)}
    layer = replace(plain, activation="relu6", **scales)
    own, given = IntegerLayer.from_compressed(layer), IntegerLayer.from_compressed(plain, activation="relu6", **scales)
    assert (own.input_scale, own.output_scale, own.clamp_min, own.clamp_max) == (*scales.values(), 0, 30)
    np.testing.assert_array_equal(own.bias, given.bias)
    assert given.clamp_max == 30
    other = ActivationScale(scale=0.3, zero_point=-128)
    changed = IntegerLayer.from_compressed(layer, input_scale=other, output_scale=other, activation="none")
    assert (changed.input_scale, changed.output_scale, changed.clamp_max) == (other, other, 127)


@pytest.mark.parametrize("missing", ["input_scale", "output_scale"])
def test_scales_must_come_from_somewhere(missing: str) -> None:
    scale = ActivationScale(scale=0.1)
    layer = replace(encode_module(linear(), FORMATS[0], name="fc"), input_scale=scale, output_scale=scale)
    with pytest.raises(CompileError) as caught:
        IntegerLayer.from_compressed(replace(layer, **{missing: None}))  # type: ignore[arg-type]
    assert caught.value.rule == f"{missing} must be given, the layer has none"


def test_a_pointwise_transposed_convolution_is_a_matmul() -> None:
    torch.manual_seed(1)
    module = torch.nn.ConvTranspose2d(24, 10, 1)
    layer = encode_module(module, FORMATS[3], name="up")
    x = torch.randn(9, 24)
    fixed, y = integers(layer, x)
    with torch.no_grad():
        torch.testing.assert_close(module(x[:, :, None, None]).flatten(1), y, atol=0.05, rtol=0)
    np.testing.assert_array_equal(fixed.weight, layer.integer_weight()[:, 0].numpy())
    padded = encode_module(torch.nn.ConvTranspose2d(8, 8, 1, dilation=2, output_padding=1), FORMATS[3], name="up")
    with pytest.raises(CompileError, match="a convolution must have output_padding 0, not 1"):
        IntegerLayer.from_compressed(padded, input_scale=fixed.input_scale, output_scale=fixed.output_scale)


def test_unknown_activation_is_refused() -> None:
    layer = encode_module(linear(), FORMATS[3], name="fc")
    scale = ActivationScale(scale=0.1)
    with pytest.raises(CompileError, match="activation must be one of none, relu, relu6, not 'gelu'"):
        IntegerLayer.from_compressed(layer, input_scale=scale, output_scale=scale, activation="gelu")


def test_too_large_a_multiplier_is_refused() -> None:
    layer = encode_module(linear(), FORMATS[3], name="fc")
    with pytest.raises(CompileError, match=r"layer 'fc': output channel 0: a multiplier must be from 0 to 3\.999"):
        IntegerLayer.from_compressed(
            layer, input_scale=ActivationScale(scale=1e5), output_scale=ActivationScale(scale=1e-3)
        )


@pytest.mark.parametrize("config", [c for c in FORMATS if c.scale == "channel"])
@pytest.mark.parametrize("weight", [0.0, 1e-30, 1e-12])
def test_dead_channels_give_their_bias(config: QuantizeConfig, weight: float) -> None:
    module = linear()
    with torch.no_grad():
        module.weight[4] = weight
        assert module.bias is not None
        module.bias[4] = 0.7
    fixed, _ = integers(encode_module(module, config, name="fc"), torch.randn(50, 30))
    x = np.random.default_rng(0).integers(-128, 128, (40, 30), dtype=np.int8)
    expected = fixed.output_scale.quantize([0.7])[0]
    assert (fixed.reference(x).output[:, 4] == expected).all()


def test_channel_without_room_for_its_bias() -> None:
    scale = ActivationScale(scale=1.0)
    with pytest.raises(ArithmeticRangeError, match="leaves no room in the int32 accumulator"):
        channel_parameters(
            bias=1.0,
            step=0.0,
            input_channels=1 << 16,
            weight_sum=0,
            weight_sum_abs=1 << 23,
            input_scale=scale,
            output_scale=scale,
        )


def test_selected_channels_are_the_same_layer() -> None:
    fixed, _ = integers(encode_module(linear(), FORMATS[0], name="fc"), torch.randn(9, 30))
    part = fixed.select_channels(5, 12)
    x = np.random.default_rng(0).integers(-128, 128, (3, 30), dtype=np.int8)
    np.testing.assert_array_equal(part.reference(x).output, fixed.reference(x).output[:, 5:12])
    assert replace(part, name="other").out_channels == 7


def test_one_scale_is_one_multiplier() -> None:
    x = torch.randn(64, 30)
    for config in FORMATS:
        fixed, _ = integers(encode_module(linear(), config, name="fc"), x)
        assert fixed.shared_multiplier == (config.scale == "layer")
        fields = parameter_fields(fixed)
        shared = (int(fixed.mantissa[0]), int(fixed.exponent[0])) if config.scale == "layer" else (0, 0)
        assert (fields["mantissa"], fields["exponent"]) == shared


def test_a_dead_channel_has_its_own_multiplier() -> None:
    """One scale for all, so small that a channel's bias is beyond int32: it takes another multiplier."""
    module = linear()
    assert module.bias is not None
    with torch.no_grad():
        module.weight *= 1e-9
        module.bias *= 0
        module.bias[3] = 5.0
    scale = ActivationScale(scale=0.02)
    layer = encode_module(module, FORMATS[1], name="fc")
    fixed = IntegerLayer.from_compressed(layer, input_scale=scale, output_scale=ActivationScale(scale=0.05))
    assert not fixed.shared_multiplier
    x = np.random.default_rng(0).integers(-128, 128, (4, 30), dtype=np.int8)
    assert (fixed.reference(x).output[:, 3] == 100).all()


@pytest.mark.parametrize("config", FORMATS)
def test_biases_are_narrow_and_close(config: QuantizeConfig) -> None:
    """Outputs differ from those with exact biases by at most one, and hardly ever."""
    layer = encode_module(linear(), config, name="fc")
    x = 3 * torch.randn(200, 30) + 1
    fixed, _ = integers(layer, x)
    exact = IntegerLayer.from_compressed(
        layer, input_scale=fixed.input_scale, output_scale=fixed.output_scale, exact_bias=True
    )
    assert exact.bias_shift is None
    assert fixed.bias_shift is not None
    assert parameter_fields(fixed)["narrow_bias"] == 1
    assert parameter_fields(fixed)["bias_shift"] == fixed.bias_shift
    moved = np.abs(fixed.bias - exact.bias) * decode_multipliers(fixed)
    assert (moved <= ROUNDING_MAX).all()
    values = fixed.input_scale.quantize(x.numpy())
    difference = np.abs(fixed.reference(values).output.astype(int) - exact.reference(values).output)
    assert difference.max() <= 1
    assert (difference != 0).mean() <= 2 * ROUNDING_MAX


def decode_multipliers(layer: IntegerLayer) -> np.ndarray:
    pairs = zip(layer.mantissa, layer.exponent, strict=True)
    return np.array([decode_multiplier(int(mantissa), int(exponent)) for mantissa, exponent in pairs])


@settings(max_examples=300, deadline=None)
@given(
    magnitude=st.integers(0, 31),
    seed=st.integers(0, 2**32 - 1),
    channels=st.integers(1, 9),
    exponents=st.tuples(st.integers(0, 15), st.integers(0, 15)),
    weight_sum_abs=st.sampled_from((0, 1 << 10, (1 << 24) - 1)),
)
def test_rounding_is_bounded(
    magnitude: int, seed: int, channels: int, exponents: tuple[int, int], weight_sum_abs: int
) -> None:
    """The smallest shift, rounded half up, within the bound and the accumulator; None when one of these fails."""
    rng = np.random.default_rng(seed)
    bias = rng.integers(-(1 << magnitude), 1 << magnitude, channels)
    bias[0] = rng.choice([-(1 << magnitude), (1 << magnitude) - 1])
    mantissa = rng.integers(0, MANTISSA_MAX + 1, channels)
    exponent = rng.integers(min(exponents), max(exponents) + 1, channels)
    result = narrow_biases(bias, mantissa, exponent, weight_sums_abs=np.full(channels, weight_sum_abs))
    rounded = {s: np.array([((int(b) + (1 << s) // 2) >> s) << s for b in bias]) for s in range(16)}
    fits = [s for s in range(16) if all(-(1 << 15) <= b >> s < 1 << 15 for b in rounded[s])]
    if not fits:
        assert result is None
        return
    wanted = rounded[fits[0]]
    room = (1 << 31) - 1 - 128 * weight_sum_abs
    changed = np.flatnonzero(wanted != bias)
    allowed = all(
        (1 << fits[0]) / 2 * mantissa[n] / 2.0 ** (10 + exponent[n]) <= 1 / 32 and abs(wanted[n]) <= room
        for n in changed
    )
    assert (result is not None) == allowed
    if result is not None:
        assert result[0] == fits[0]
        np.testing.assert_array_equal(result[1], wanted)
        assert (np.abs(wanted - bias) * mantissa / 2.0 ** (10 + exponent) <= ROUNDING_MAX).all()


def test_a_rounded_bias_leaves_room_in_the_accumulator() -> None:
    """Half up would end just beyond what the weights leave of int32."""
    sums = np.array([(1 << 24) - (1 << 17)])
    bias = (1 << 31) - 1 - 128 * sums
    tiny = np.array([1]), np.array([15])
    check_accumulator(0, int(bias[0]), int(sums[0]))
    assert narrow_biases(bias, *tiny, weight_sums_abs=sums) is None
    assert narrow_biases(bias - 1024, *tiny, weight_sums_abs=sums) is not None


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"bias_shift": 16}, "bias_shift must be from 0 to 15, not 16"),
        ({"bias_shift": -1}, "bias_shift must be from 0 to 15, not -1"),
        ({"bias_shift": 3, "bias": np.array([8, 12])}, "output channel 1: a bias must be int16 << 3, not 12"),
        ({"bias_shift": 0, "bias": np.array([1 << 15, 0])}, "output channel 0: a bias must be int16 << 0, not 32768"),
        (
            {"shared_multiplier": True, "mantissa": np.array([1, 2])},
            "a shared multiplier needs the same mantissa and exponent in all channels",
        ),
        (
            {"shared_multiplier": True, "exponent": np.array([1, 2])},
            "a shared multiplier needs the same mantissa and exponent in all channels",
        ),
    ],
)
def test_channel_parameters_are_what_they_are_said_to_be(changes: dict[str, object], rule: str) -> None:
    layer = random_layer(
        np.random.default_rng(0),
        weight_format=CoreFormat.INT8,
        out_channels=2,
        in_channels=4,
        bias_shift=3,
        shared_multiplier=True,
    )
    with pytest.raises(CompileError) as caught:
        replace(layer, **changes)  # type: ignore[arg-type]
    assert (caught.value.layer, caught.value.rule) == ("layer", rule)
