"""Operators with weights: what the compressed container stores, and embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ssvq.network.errors import OperatorError
from ssvq.network.operators.base import (
    Operator,
    require_count,
    require_float,
    require_least,
    require_rank,
    require_shape,
)
from ssvq.network.operators.window import Padding, Pair, window_outputs
from ssvq.network.tensor_type import TensorType, short

IMAGE = "(batch, channels, height, width)"


@dataclass(frozen=True, kw_only=True)
class Linear(Operator):
    """x (..., K), weight (N, K) and, perhaps, bias (N,) to (..., N)."""

    label = "linear"
    parameters = (1, 2)

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """(..., N)."""
        require_count(operands, 2, 3)
        require_float(*operands)
        x, weight = operands[:2]
        require_rank(weight, 2, "(outputs, inputs)")
        outputs, inputs = weight.shape
        if not x.shape or x.shape[-1] != inputs:
            raise OperatorError(f"the last axis of the operand must have {inputs} channels, not the shape {x.shape}")
        for bias in operands[2:]:
            require_shape("bias", bias, (outputs,))
        return TensorType((*x.shape[:-1], outputs))


@dataclass(frozen=True, kw_only=True)
class Conv2d(Operator):
    """x (B, groups * K, H, W), weight (N, K, kh, kw) and, perhaps, bias (N,) to (B, N, H', W').

    Attributes:
        stride, dilation: rows, columns.
        padding: zeros at the top, left, bottom and right.
        groups: inputs and outputs fall into as many parts, each with its own weights; depthwise where it is the number
            of input channels.
    """

    label = "convolution"
    parameters = (1, 2)
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        require_least(1, stride=self.stride, dilation=self.dilation, groups=self.groups)
        require_least(0, padding=self.padding)

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """(B, N, H', W')."""
        require_count(operands, 2, 3)
        require_float(*operands)
        x, weight = operands[:2]
        require_rank(x, 4, IMAGE)
        require_rank(weight, 4, "(outputs, inputs of a group, kernel rows, kernel columns)")
        outputs, inputs, *kernel = weight.shape
        if x.shape[1] != inputs * self.groups:
            raise OperatorError(
                f"the operand must have {inputs} channels for each of {self.groups} groups, not {x.shape[1]} in all"
            )
        if outputs % self.groups:
            raise OperatorError(f"output channels must be a multiple of groups {self.groups}, not {outputs}")
        for bias in operands[2:]:
            require_shape("bias", bias, (outputs,))
        size = window_outputs(x.shape[2:], (kernel[0], kernel[1]), self.stride, self.padding, self.dilation)
        return TensorType((x.shape[0], outputs, *size))


@dataclass(frozen=True, kw_only=True)
class ConvTranspose2d(Operator):
    """x (B, K, H, W), weight (K, N / groups, kh, kw) as PyTorch has it and, perhaps, bias (N,) to (B, N, H', W').

    `H' = (H - 1) * stride - top - bottom + dilation * (kh - 1) + output_padding + 1`, and so across.

    Attributes:
        stride, dilation: rows, columns.
        padding: what is cut off at the top, left, bottom and right.
        output_padding: rows and columns more at the bottom and right.
        groups: as of Conv2d.
    """

    label = "transposed_convolution"
    parameters = (1, 2)
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    output_padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        require_least(1, stride=self.stride, dilation=self.dilation, groups=self.groups)
        require_least(0, padding=self.padding, output_padding=self.output_padding)
        if any(more >= step for more, step in zip(self.output_padding, self.stride, strict=True)):
            raise OperatorError(f"output_padding must be less than stride {self.stride}, not {self.output_padding}")

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """(B, N, H', W')."""
        require_count(operands, 2, 3)
        require_float(*operands)
        x, weight = operands[:2]
        require_rank(x, 4, IMAGE)
        require_rank(weight, 4, "(inputs, outputs of a group, kernel rows, kernel columns)")
        inputs, outputs = weight.shape[0], weight.shape[1] * self.groups
        if x.shape[1] != inputs:
            raise OperatorError(f"the operand must have {inputs} channels, not {x.shape[1]}")
        if inputs % self.groups:
            raise OperatorError(f"input channels must be a multiple of groups {self.groups}, not {inputs}")
        for bias in operands[2:]:
            require_shape("bias", bias, (outputs,))
        size = tuple(
            (x.shape[2 + axis] - 1) * self.stride[axis]
            - self.padding[axis]
            - self.padding[axis + 2]
            + self.dilation[axis] * (weight.shape[2 + axis] - 1)
            + self.output_padding[axis]
            + 1
            for axis in (0, 1)
        )
        if min(size) < 1:
            raise OperatorError(f"the result must have at least one row and column, not {size}")
        return TensorType((x.shape[0], outputs, *size))


@dataclass(frozen=True, kw_only=True)
class Embedding(Operator):
    """Integer ids (...), each 0 .. V - 1, and weight (V, D) to (..., D)."""

    label = "embedding"
    parameters = (1,)

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """(..., D)."""
        require_count(operands, 2)
        ids, weight = operands
        require_float(weight)
        require_rank(weight, 2, "(ids, width)")
        if ids.dtype not in (torch.int64, torch.int32):
            raise OperatorError(f"ids must be int64 or int32, not {short(ids.dtype)}")
        return TensorType((*ids.shape, weight.shape[1]))
