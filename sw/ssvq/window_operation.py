"""Pooling and depthwise convolutions, with everything in integers: what the core's vector unit computes of windows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ssvq_gen.arithmetic import ACTIVATION_MIN
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import VECTOR_WINDOW_OPCODES, Opcode
from ssvq_gen.vector_arithmetic import DEPTHWISE_KERNEL_MAX, POOL_POSITIONS_MAX

from .channel_operation import ChannelOperation, shared
from .convolution_geometry import ConvolutionGeometry
from .layer_arithmetic import CompileError
from .reference import Int8Array


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowOperation(ChannelOperation):
    """The pixels in each window of an image, channel by channel.

    opcode : POOL or DEPTHWISE
    geometry : windows; pixels outside the image add nothing to a sum, and are -128 among those of which one is largest
    largest : POOL: the value is the largest pixel, else the sum of all, less the zero point
    weight : DEPTHWISE: int8 (C, kh, kw), what pixels are multiplied by before they are added

    Raises CompileError for what does not fit its field or does not belong to the opcode.
    """

    OPCODES = VECTOR_WINDOW_OPCODES
    KIND = "operation on windows"
    geometry: ConvolutionGeometry
    largest: bool = False
    weight: Int8Array = field(default_factory=lambda: np.zeros((0, 0, 0), dtype=np.int8))

    def __post_init__(self) -> None:
        super().__post_init__()
        height, width = self.geometry.kernel
        if self.opcode is Opcode.POOL:
            if self.geometry.positions > POOL_POSITIONS_MAX:
                rule = f"a window must have at most {POOL_POSITIONS_MAX} positions, not {self.geometry.positions}"
                raise CompileError(self.name, rule)
            if self.weight.size:
                raise CompileError(self.name, "POOL has no weights")
            return
        if max(height, width) > DEPTHWISE_KERNEL_MAX:
            rule = f"a kernel must have at most {DEPTHWISE_KERNEL_MAX} rows and columns, not {height} x {width}"
            raise CompileError(self.name, rule)
        if self.largest:
            raise CompileError(self.name, "DEPTHWISE makes sums: largest must be False")
        if self.weight.dtype != np.int8 or self.weight.shape != (self.channels, height, width):
            found = f"{self.weight.dtype} {self.weight.shape}"
            rule = f"weights must be int8 of shape {(self.channels, height, width)}, not {found}"
            raise CompileError(self.name, rule)

    @property
    def padding_value(self) -> int:
        """A pixel that is as good as none."""
        return ACTIVATION_MIN if self.largest else self.input_zero_point

    def extra_taps(self, config: CoreConfig) -> int:
        """Windows beside the first that take a pixel of a row in the same cycle: all that have it, or none."""
        (_, width), (_, stride), (_, dilation) = self.geometry.kernel, self.geometry.stride, self.geometry.dilation
        extra = -(-width // stride) - 1
        fits = self.opcode is Opcode.DEPTHWISE and dilation == 1 and extra < config.depthwise_taps
        return extra if fits else 0

    def reference(self, image: Int8Array) -> Int8Array:
        """What the core computes: int8 (OH, OW, C) of int8 (H, W, C). Raises ValueError for others."""
        if image.dtype != np.int8 or image.ndim != 3 or image.shape[2] != self.channels:
            raise ValueError(f"an image must be int8 (H, W, {self.channels}), not {image.dtype} {image.shape}")
        return self.of_windows(self.geometry.windows(image, self.padding_value))

    def of_windows(self, windows: Int8Array) -> Int8Array:
        """int8 (..., C) of all positions of windows, int8 (..., kh, kw, C) with `padding_value` outside the image."""
        pixels = windows.astype(np.int64) - self.input_zero_point
        if self.largest:
            value = pixels.max(axis=(-3, -2))
        elif self.opcode is Opcode.DEPTHWISE:
            value = (pixels * self.weight.astype(np.int64).transpose(1, 2, 0)).sum(axis=(-3, -2))
        else:
            value = pixels.sum(axis=(-3, -2))
        return self._rescaled(value, shared(0), shared(0))
