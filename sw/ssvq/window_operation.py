"""Pooling and depthwise convolutions, with everything in integers: what the core's vector unit computes of windows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ssvq_gen.arithmetic import ACTIVATION_MIN
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import VECTOR_WINDOW_OPCODES, Opcode
from ssvq_gen.vector_arithmetic import DEPTHWISE_KERNEL_MAX, POOL_POSITIONS_MAX

from .channel_operation import ChannelOperation, shared
from .convolution_geometry import ConvolutionGeometry
from .layer_arithmetic import CompileError
from .reference import Int8Array, Int32Array


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
        distances = image.astype(np.int32) - self.input_zero_point
        return self._of_positions(self.geometry.shifted(distances, self.padding_value - self.input_zero_point))

    def of_windows(self, windows: Int8Array) -> Int8Array:
        """int8 (..., C) of all positions of windows, int8 (..., kh, kw, C) with `padding_value` outside the image."""
        distances = windows.astype(np.int32) - self.input_zero_point
        height, width = self.geometry.kernel
        return self._of_positions(distances[..., y, x, :] for y in range(height) for x in range(width))

    def _of_positions(self, positions: Iterable[Int32Array]) -> Int8Array:
        """int8 (..., C) of the pixels at each kernel position, (..., C), less their zero point; all sums fit int32."""
        weights = self.weight.reshape(self.channels, -1).T.astype(np.int32) if self.weight.size else None
        value: Int32Array | None = None
        for number, pixels in enumerate(positions):
            part = pixels if weights is None else pixels * weights[number]
            if value is None:
                value = part.copy()
            elif self.largest:
                np.maximum(value, part, out=value)
            else:
                value += part
        return self._rescaled(np.asarray(value).astype(np.int64), shared(0), shared(0))
