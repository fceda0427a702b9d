"""A product of two activation tensors with everything in integers: what a PRODUCT computes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssvq_gen.arithmetic import (
    ACTIVATION_MAX,
    ACTIVATION_MIN,
    EXPONENT_WIDTH,
    MANTISSA_MAX,
    ArithmeticRangeError,
    check_accumulator,
    encode_multiplier,
)

from .layer_arithmetic import CompileError
from .reference import ActivationScale, Int8Array, matmul_reference


@dataclass(frozen=True, kw_only=True)
class IntegerProduct:
    """``batch_count`` products of T x K activations with K x N operands, in the core's integer arithmetic.

    tokens, in_channels, out_channels : T, K, N of each product
    transposed : the operand is (N, K), an activation is a column of the weights (Q K^T); otherwise (K, N) (A V)
    input_scale, operand_scale : both with zero point 0
    mantissa, exponent : the one multiplier of all outputs; the bias is zero

    Raises CompileError for sizes below one, a zero point, a multiplier or clamp out of range, sums beyond int32.
    """

    name: str
    tokens: int
    in_channels: int
    out_channels: int
    batch_count: int = 1
    transposed: bool
    input_scale: ActivationScale
    operand_scale: ActivationScale
    output_scale: ActivationScale
    mantissa: int
    exponent: int
    clamp_min: int = ACTIVATION_MIN
    clamp_max: int = ACTIVATION_MAX

    def __post_init__(self) -> None:
        for field in ("tokens", "in_channels", "out_channels", "batch_count"):
            if getattr(self, field) < 1:
                raise CompileError(self.name, f"{field} must be at least 1, not {getattr(self, field)}")
        for field in ("input_scale", "operand_scale"):
            if zero_point := getattr(self, field).zero_point:
                raise CompileError(self.name, f"{field} of a product must have zero_point 0, not {zero_point}")
        if not 0 <= self.mantissa <= MANTISSA_MAX or not 0 <= self.exponent < 1 << EXPONENT_WIDTH:
            raise CompileError(self.name, f"there is no multiplier ({self.mantissa}, {self.exponent})")
        if not ACTIVATION_MIN <= self.clamp_min <= self.clamp_max <= ACTIVATION_MAX:
            raise CompileError(self.name, f"clamps must be ascending int8, not {self.clamp_min} to {self.clamp_max}")
        try:
            check_accumulator(self.in_channels, 0)
        except ArithmeticRangeError as error:
            raise CompileError(self.name, str(error)) from error

    @classmethod
    def from_scales(
        cls,
        *,
        name: str,
        tokens: int,
        in_channels: int,
        out_channels: int,
        batch_count: int = 1,
        transposed: bool,
        input_scale: ActivationScale,
        operand_scale: ActivationScale,
        output_scale: ActivationScale,
    ) -> IntegerProduct:
        """The product with the multiplier ``s_x * s_w / s_y``. Raises CompileError."""
        if input_scale.gains or operand_scale.gains or output_scale.gains:
            raise CompileError(name, "scales of a product must not have gains: its channels have one multiplier")
        try:
            multiplier = input_scale.scale * operand_scale.scale / output_scale.scale
            mantissa, exponent = encode_multiplier(multiplier)
        except ArithmeticRangeError as error:
            raise CompileError(name, str(error)) from error
        return cls(
            name=name,
            tokens=tokens,
            in_channels=in_channels,
            out_channels=out_channels,
            batch_count=batch_count,
            transposed=transposed,
            input_scale=input_scale,
            operand_scale=operand_scale,
            output_scale=output_scale,
            mantissa=mantissa,
            exponent=exponent,
        )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(B, T, K)."""
        return self.batch_count, self.tokens, self.in_channels

    @property
    def operand_shape(self) -> tuple[int, int, int]:
        """(B, N, K) when transposed, otherwise (B, K, N)."""
        rows, columns = self.in_channels, self.out_channels
        return (self.batch_count, columns, rows) if self.transposed else (self.batch_count, rows, columns)

    def reference(self, x: Int8Array, operand: Int8Array) -> Int8Array:
        """What the core computes: int8 (B, T, N) of int8 `input_shape` and `operand_shape`.

        Raises ValueError for other shapes or types.
        """
        for kind, array, shape in (("x", x, self.input_shape), ("operand", operand, self.operand_shape)):
            if array.dtype != np.int8 or array.shape != shape:
                raise ValueError(f"{kind} must be int8 of shape {shape}, not {array.dtype} {array.shape}")
        channels = self.out_channels
        return np.stack(
            [
                matmul_reference(
                    inputs,
                    weights if self.transposed else np.ascontiguousarray(weights.T),
                    np.zeros(channels, dtype=np.int64),
                    np.full(channels, self.mantissa),
                    np.full(channels, self.exponent),
                    zero_point=self.output_scale.zero_point,
                    clamp_min=self.clamp_min,
                    clamp_max=self.clamp_max,
                ).output
                for inputs, weights in zip(x, operand, strict=True)
            ]
        )
