"""The integer arithmetic of a compressed layer: biases, multipliers and clamp for given activation scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN, ArithmeticRangeError

from .channel_parameters import channel_parameters, narrow_biases
from .reference import ActivationScale, Int8Array, Int64Array

_ACTIVATIONS = ("none", "relu", "relu6")


if TYPE_CHECKING:  # compiling and running need no PyTorch
    from .quantize.layer import CompressedLayer


class CompileError(ValueError):
    """A layer cannot run on the core; `layer` and `rule` say which and why."""

    def __init__(self, layer: str, rule: str) -> None:
        super().__init__(f"layer {layer!r}: {rule}")
        self.layer = layer
        self.rule = rule


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerArithmetic:
    """What the requantizer needs for a layer of N output channels.

    bias : int64 (N,), within int32, the input's zero point folded in
    bias_shift : biases are int16 shifted left by this; None: they take 32 bits
    mantissa, exponent : int64 (N,), the multiplier of each output channel
    clamp_min, clamp_max : bounds of the output, its activation function
    """

    bias: Int64Array
    bias_shift: int | None
    mantissa: Int64Array
    exponent: Int64Array
    clamp_min: int
    clamp_max: int


def layer_arithmetic(
    layer: CompressedLayer,
    weight: Int8Array,
    input_scale: ActivationScale,
    output_scale: ActivationScale,
    *,
    activation: str,
    exact_bias: bool = False,
) -> LayerArithmetic:
    """Fix a layer's numbers; weight is int8 (N, products of one output).

    Biases are rounded to narrow ones when that moves no output by more than `narrow_biases` allows, unless
    `exact_bias`. Raises CompileError when a number does not fit the core, or gains are where they cannot be.
    """
    _check_gains(layer.name, weight.shape[0], input_scale, output_scale, activation)
    bias, mantissa, exponent = _parameters(layer, weight, input_scale, output_scale)
    sums_abs = np.abs(weight.astype(np.int64)).sum(axis=1)
    narrow = None if exact_bias else narrow_biases(bias, mantissa, exponent, weight_sums_abs=sums_abs)
    shift, bias = narrow if narrow is not None else (None, bias)
    clamp_min, clamp_max = _clamp(layer.name, activation, output_scale)
    return LayerArithmetic(
        bias=bias, bias_shift=shift, mantissa=mantissa, exponent=exponent, clamp_min=clamp_min, clamp_max=clamp_max
    )


def _parameters(
    layer: CompressedLayer, weight: Int8Array, input_scale: ActivationScale, output_scale: ActivationScale
) -> tuple[Int64Array, Int64Array, Int64Array]:
    channels, wide = weight.shape[0], weight.astype(np.int64)
    scale = np.broadcast_to(np.asarray(layer.scale, dtype=np.float64), (channels,))
    bias = np.zeros(channels) if layer.bias is None else np.asarray(layer.bias, dtype=np.float64)
    sums, sums_abs = wide.sum(axis=1), np.abs(wide).sum(axis=1)
    result = np.empty((3, channels), dtype=np.int64)
    for n in range(channels):
        try:
            result[:, n] = channel_parameters(
                bias=float(bias[n]),
                step=input_scale.scale * float(scale[n]),
                input_channels=weight.shape[1],
                weight_sum=int(sums[n]),
                weight_sum_abs=int(sums_abs[n]),
                input_scale=input_scale,
                output_scale=output_scale.channel(n),
            )
        except ArithmeticRangeError as error:
            raise CompileError(layer.name, f"output channel {n}: {error}") from error
    return result[0], result[1], result[2]


def _check_gains(
    name: str, channels: int, input_scale: ActivationScale, output_scale: ActivationScale, activation: str
) -> None:
    if input_scale.gains:
        raise CompileError(name, "input_scale must not have gains: sums go over the input's channels as they are")
    if output_scale.gains and len(output_scale.gains) != channels:
        raise CompileError(name, f"output_scale must have {channels} gains or none, not {len(output_scale.gains)}")
    if output_scale.gains and activation == "relu6":
        raise CompileError(name, "output_scale must not have gains when relu6 follows: all channels have one clamp")


def _clamp(name: str, activation: str, output_scale: ActivationScale) -> tuple[int, int]:
    if activation not in _ACTIVATIONS:
        raise CompileError(name, f"activation must be one of {', '.join(_ACTIVATIONS)}, not {activation!r}")
    low = ACTIVATION_MIN if activation == "none" else output_scale.zero_point
    high = int(output_scale.quantize(6.0)) if activation == "relu6" else ACTIVATION_MAX
    return low, high
