"""A functional model of the core: executes descriptors on a DRAM window, with the error rules but without time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssvq.layer_arithmetic import CompileError
from ssvq.reference import matmul_reference
from ssvq.vector_image import unpack_operation
from ssvq.weight_stream import unpack_stream
from ssvq.window_operation import WindowOperation
from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_gen.format import (
    DESCRIPTOR_BYTES,
    DESCRIPTOR_MAGIC,
    DRAM_ALIGNMENT,
    FIELD_BY_NAME,
    STREAM_OPCODES,
    TABLE_ENTRIES,
    TABLE_ENTRY_BYTES,
    VECTOR_OPCODES,
    VECTOR_WINDOW_OPCODES,
    ErrorCode,
    Opcode,
    ParameterPlane,
    Residency,
    TableUse,
    unpack_descriptor,
)
from ssvq_gen.stream_format import StreamFormat
from ssvq_gen.vector_arithmetic import CHANNELS_MAX, SHIFTS

_STEPS = (
    *("input_height", "input_width", "output_width", "kernel_width"),
    *("stride_y", "stride_x", "dilation_y", "dilation_x"),
)
"""Fields of windows that may not be zero."""


class CoreFault(Exception):
    """The job ends with an error code, as in the ERROR registers."""

    def __init__(self, code: ErrorCode | int, descriptor: int, address: int = 0) -> None:
        super().__init__(f"{code!r} at descriptor {descriptor}, address {address:#x}")
        self.code, self.descriptor, self.address = code, descriptor, address


@dataclass
class CoreModel:
    """Activation memory and weight cache start with a pattern, so that reading what was never written shows.

    pattern : chooses which

    What overlaps in the core runs in order here, which is what overlap may not change.
    """

    config: CoreConfig
    pattern: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.pattern)
        pattern = rng.integers(-128, 128, self.config.activation_bytes, dtype=np.int8)
        self.words = pattern.reshape(self.config.activation_depth, self.config.word_bytes)
        self.table = rng.integers(0, 256, TABLE_ENTRIES * TABLE_ENTRY_BYTES, dtype=np.uint8)
        self.cache = rng.integers(0, 256, self.config.weight_cache_bytes, dtype=np.uint8)

    def run(self, memory: npt.NDArray[np.uint8], offset: int, count: int) -> None:
        """Execute `count` descriptors at byte `offset`; raises CoreFault."""
        for index in range(count):
            start = offset + index * DESCRIPTOR_BYTES
            if start % DRAM_ALIGNMENT or start + DESCRIPTOR_BYTES > memory.size:
                raise CoreFault(ErrorCode.DRAM_RANGE, index, start)
            self._execute(memory, unpack_descriptor(memory[start : start + DESCRIPTOR_BYTES].tobytes()), index)

    def _execute(self, memory: npt.NDArray[np.uint8], d: dict[str, int], index: int) -> None:
        is_product, is_vector = d["opcode"] == Opcode.PRODUCT, d["opcode"] in VECTOR_OPCODES
        is_conv = d["opcode"] == Opcode.CONV
        unknown = d["opcode"] not in list(Opcode)
        unknown |= (is_product and not self.config.attention) or (is_conv and not self.config.convolution)
        unknown |= is_vector and not self.config.vector
        if d["magic"] != DESCRIPTOR_MAGIC or unknown or (d["dram_bytes"] == 0) != (is_product or is_vector):
            raise CoreFault(ErrorCode.BAD_DESCRIPTOR, index)
        if d["batch_last"] and not is_product:
            raise CoreFault(ErrorCode.BAD_DESCRIPTOR, index)
        if is_vector:
            self._vector(d, index)
            return
        start, stop = d["dram_offset"], d["dram_offset"] + d["dram_bytes"]
        has_stream = d["opcode"] in STREAM_OPCODES
        unit = self.config.stream_alignment if has_stream else self.config.word_bytes
        is_cached = has_stream and d["residency"] == Residency.REUSE
        if start % DRAM_ALIGNMENT or d["dram_bytes"] % unit or (stop > memory.size and not is_cached):
            raise CoreFault(ErrorCode.DRAM_RANGE, index, start)
        if has_stream:
            self._stream_product(self._stream(memory[start:stop], d, index), d, index)
            return
        if is_product:
            self._product(d, index)
            return
        word = d["destination" if d["opcode"] == Opcode.LOAD else "source"]
        words = self._words(word, d["dram_bytes"] // self.config.word_bytes, index)
        if d["opcode"] == Opcode.LOAD:
            words[:] = memory[start:stop].view(np.int8).reshape(words.shape)
        else:
            memory[start:stop] = words.reshape(-1).view(np.uint8)

    def _words(self, first: int, count: int, index: int) -> npt.NDArray[np.int8]:
        if count and first + count > self.config.activation_depth:
            raise CoreFault(ErrorCode.ACTIVATION_RANGE, index, first + count - 1)
        return self.words[first : first + count]

    def _stream(self, fetched: npt.NDArray[np.uint8], d: dict[str, int], index: int) -> bytes:
        """The weight stream, from DRAM or from the cache."""
        if d["residency"] == Residency.NONE:
            return fetched.tobytes()
        offset, size = d["cache_offset"], d["dram_bytes"]
        bad = d["residency"] not in list(Residency) or offset % DRAM_ALIGNMENT or offset + size > self.cache.size
        if bad:
            raise CoreFault(ErrorCode.BAD_DESCRIPTOR, index)
        if d["residency"] == Residency.KEEP:
            self.cache[offset : offset + size] = fetched
        return self.cache[offset : offset + size].tobytes()

    def _check_matrix(self, d: dict[str, int], index: int) -> None:
        c = self.config
        in_range = 1 <= d["tokens"] <= c.accumulator_depth and 1 <= d["last_rows"] <= c.rows
        if not in_range or not d["k_tiles"] or not d["n_tiles"] or d["clamp_min"] > d["clamp_max"]:
            raise CoreFault(ErrorCode.BAD_DESCRIPTOR, index)

    def _tokens(self, first: int, count: int, stride: int, channels: int, index: int) -> npt.NDArray[np.int8]:
        """int8 (count, channels) of activations that are `stride` words apart."""
        words = -(-channels // self.config.word_bytes)
        block = self._words(first, (count - 1) * stride + words, index)
        return np.stack([block[t * stride :][:words].reshape(-1)[:channels] for t in range(count)])

    def _product(self, d: dict[str, int], index: int) -> None:
        c = self.config
        self._check_matrix(d, index)
        if not 1 <= d["last_columns"] <= c.cols:
            raise CoreFault(ErrorCode.BAD_DESCRIPTOR, index)
        k = (d["k_tiles"] - 1) * c.rows + d["last_rows"]
        n = (d["n_tiles"] - 1) * c.cols + d["last_columns"]
        for batch in range(d["batch_last"] + 1):
            source = d["source"] + batch * d["input_batch_stride"]
            operand = d["operand"] + batch * d["operand_batch_stride"]
            rows, channels = (n, k) if d["transposed"] else (k, n)
            used = self._tokens(operand, rows, d["operand_stride"], channels, index)
            weight = np.zeros((d["n_tiles"] * c.cols, k), dtype=np.int8)
            weight[:n] = used if d["transposed"] else used.T
            x = self._tokens(source, d["tokens"], d["input_stride"], k, index)
            output = self._requantized(x, weight, np.zeros(weight.shape[0], dtype=np.int64), d)
            self._write(output, d, d["destination"] + batch * d["output_batch_stride"], index)

    def _vector(self, d: dict[str, int], index: int) -> None:
        c = self.config
        words = -(-d["channels"] // c.word_bytes)
        is_window = d["opcode"] in VECTOR_WINDOW_OPCODES
        if is_window and not all(d[name] for name in (*_STEPS, "kernel_height")):
            raise CoreFault(ErrorCode.BAD_DESCRIPTOR, index)
        if d["shift_code"] >= len(SHIFTS) or not 1 <= d["channels"] <= CHANNELS_MAX or d["table_use"] > max(TableUse):
            raise CoreFault(ErrorCode.BAD_DESCRIPTOR, index)
        if d["table_use"] == TableUse.LOAD:
            size = TABLE_ENTRIES * TABLE_ENTRY_BYTES // c.word_bytes
            self.table = self._words(d["table"], size, index).view(np.uint8).copy()
        weights = d["kernel_height"] * d["kernel_width"] if d["opcode"] == Opcode.DEPTHWISE else 0
        stored = ParameterPlane(d["planes"]).plane_bytes + weights
        parameters = self._words(d["parameters"], words * stored, index)
        table = None if d["table_use"] == TableUse.NONE else self.table
        try:
            operation = unpack_operation(d, parameters.view(np.uint8), table, c)
        except CompileError as error:
            raise CoreFault(ErrorCode.BAD_DESCRIPTOR, index) from error
        one_by_one = operation.opcode in (Opcode.SUM, Opcode.MULTIPLY, *VECTOR_WINDOW_OPCODES)
        if not 1 <= d["tokens"] <= (FIELD_BY_NAME["tokens"].bounds[1] if one_by_one else c.accumulator_depth):
            raise CoreFault(ErrorCode.BAD_DESCRIPTOR, index)
        if isinstance(operation, WindowOperation):
            output = self._pooled(operation, d, index)
        else:
            operands = [self._tokens(d["source"], d["tokens"], d["input_stride"], d["channels"], index)]
            if operation.has_second:
                place = d["second_source"], d["tokens"], d["second_stride"], d["channels"]
                operands.append(self._tokens(*place, index))
            output = operation.reference(*operands)
        padding = -output.shape[1] % c.vector_lanes
        self._write(np.pad(output, ((0, 0), (0, padding))), d, d["destination"], index)

    def _pooled(self, operation: WindowOperation, d: dict[str, int], index: int) -> npt.NDArray[np.int8]:
        """int8 (tokens, channels) of the windows of a POOL or DEPTHWISE."""
        height, width = operation.geometry.kernel
        if operation.opcode is Opcode.DEPTHWISE and d["extra_taps"] not in (0, operation.extra_taps(self.config)):
            raise CoreFault(ErrorCode.BAD_DESCRIPTOR, index)
        windows = np.full((d["tokens"], height, width, d["channels"]), operation.padding_value, dtype=np.int8)
        for t, ky, kx in np.ndindex(*windows.shape[:3]):
            place = self._pixel(d, t, ky, kx, index)
            if place is not None:
                windows[t, ky, kx] = self._tokens(place, 1, 0, d["channels"], index)[0]
        return operation.of_windows(windows)

    def _pixel(self, d: dict[str, int], t: int, ky: int, kx: int, index: int) -> int | None:
        """First word of the pixel of window t at a position of the kernel; None outside the image."""
        below = t // d["output_width"] * d["stride_y"] + ky * d["dilation_y"]
        right = t % d["output_width"] * d["stride_x"] + kx * d["dilation_x"]
        if not (0 <= d["origin_y"] + below < d["input_height"] and 0 <= d["origin_x"] + right < d["input_width"]):
            return None
        address = d["source"] + below * d["row_stride"] + right * d["input_stride"] - (d["source"] >> 31 << 32)
        if not 0 <= address < self.config.activation_depth:
            raise CoreFault(ErrorCode.ACTIVATION_RANGE, index, address % (1 << 32))
        return address

    def _requantized(
        self, x: npt.NDArray[np.int8], weight: npt.NDArray[np.int8], bias: npt.NDArray[np.int64], d: dict[str, int]
    ) -> npt.NDArray[np.int8]:
        """With the descriptor's multiplier for all channels."""
        return matmul_reference(
            x,
            weight,
            bias,
            np.full(bias.size, d["mantissa"]),
            np.full(bias.size, d["exponent"]),
            zero_point=d["zero_point"],
            clamp_min=d["clamp_min"],
            clamp_max=d["clamp_max"],
        ).output

    def _write(self, output: npt.NDArray[np.int8], d: dict[str, int], first: int, index: int) -> None:
        writes = -(-output.shape[1] // self.config.word_bytes)
        target = self._words(first, (d["tokens"] - 1) * d["output_stride"] + writes, index)
        for t, row in enumerate(output):
            target[t * d["output_stride"] :][:writes].reshape(-1)[: row.size] = row

    def _windows(self, d: dict[str, int], index: int) -> npt.NDArray[np.int8]:
        """int8 (tokens, k_tiles * rows): what a CONV's array is given, pixel by pixel; masked rows are zero."""
        c = self.config
        if not all(d[name] for name in (*_STEPS, "channel_tiles")):
            raise CoreFault(ErrorCode.BAD_DESCRIPTOR, index)
        rows = [c.rows] * (d["channel_tiles"] - 1) + [d["last_rows"]]
        x = np.zeros((d["tokens"], d["k_tiles"], c.rows), dtype=np.int8)
        for t, k in np.ndindex(*x.shape[:2]):
            position, tile = divmod(k, d["channel_tiles"])
            used = rows[tile]
            ky, kx = divmod(position, d["kernel_width"])
            first = self._pixel(d, t, ky, kx, index)
            if first is None:
                x[t, k, :used] = d["padding_value"]
                continue
            word, byte = divmod(tile * c.rows, c.word_bytes)
            x[t, k, :used] = self._words(first + word, 1, index)[0, byte : byte + used]
        return x.reshape(d["tokens"], -1)

    def _stream_product(self, stream: bytes, d: dict[str, int], index: int) -> None:
        """MATMUL or CONV."""
        c = self.config
        self._check_matrix(d, index)
        try:
            stream_format = StreamFormat(
                config=c,
                weight_format=WeightFormat(d["weight_format"]),
                codebook_size=1 << d["index_width"],
                vector_dim=1 << d["vector_dim_log2"],
                narrow_bias=bool(d["narrow_bias"]),
                shared_multiplier=bool(d["shared_multiplier"]),
            )
        except ValueError as error:  # FormatError is one
            raise CoreFault(ErrorCode.BAD_DESCRIPTOR, index) from error
        k_tiles, n_tiles = d["k_tiles"], d["n_tiles"]
        if len(stream) != stream_format.total_bytes(k_tiles, n_tiles):
            raise CoreFault(ErrorCode.WEIGHT_LENGTH, index)
        shared = {name: d[name] for name in ("bias_shift", "mantissa", "exponent")}
        unpacked = unpack_stream(stream, stream_format, k_tiles=k_tiles, n_tiles=n_tiles, **shared)
        if d["opcode"] == Opcode.CONV:
            x = self._windows(d, index)
        else:
            used = (k_tiles - 1) * c.rows + d["last_rows"]
            x = self._tokens(d["source"], d["tokens"], d["input_stride"], used, index)
        trace = matmul_reference(
            x,
            unpacked.weight[:, : x.shape[1]],
            unpacked.bias,
            unpacked.mantissa,
            unpacked.exponent,
            zero_point=d["zero_point"],
            clamp_min=d["clamp_min"],
            clamp_max=d["clamp_max"],
        )
        self._write(trace.output, d, d["destination"], index)
