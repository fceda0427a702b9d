"""Binary formats between software and core: descriptors, and what vector operations find in the activation memory.

Everything in DRAM is little-endian and addressed by byte offsets from the job's memory base.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from .vector_arithmetic import MULTIPLIER_WIDTH, OFFSET_WIDTH

DRAM_ALIGNMENT = 64
"""Bytes to which every DRAM offset in a descriptor, and the memory base, are aligned: the widest beat."""

DESCRIPTOR_BYTES = 64
DESCRIPTOR_MAGIC = 0x5A


class FormatError(ValueError):
    """A value does not fit its field; the message names the field, its range and the value."""


class Opcode(IntEnum):
    """What a descriptor asks the core to do."""

    LOAD = 1
    STORE = 2
    MATMUL = 3
    PRODUCT = 4
    CONV = 5
    SUM = 6
    MULTIPLY = 7
    LAYERNORM = 8
    SOFTMAX = 9
    POOL = 10
    DEPTHWISE = 11


MATRIX_OPCODES = (Opcode.MATMUL, Opcode.PRODUCT, Opcode.CONV)
"""What enters the array."""
STREAM_OPCODES = (Opcode.MATMUL, Opcode.CONV)
"""What has a weight stream."""
VECTOR_WINDOW_OPCODES = (Opcode.POOL, Opcode.DEPTHWISE)
"""What the vector unit does with the pixels in the windows of an image."""
VECTOR_OPCODES = (Opcode.SUM, Opcode.MULTIPLY, Opcode.LAYERNORM, Opcode.SOFTMAX, *VECTOR_WINDOW_OPCODES)
"""What the vector unit does."""


class Residency(IntEnum):
    """Where a weight stream comes from, and whether it stays in the weight cache."""

    NONE = 0
    KEEP = 1
    REUSE = 2


OPEN_ALL = 15
"""Value of `loads_open`, `matmuls_open` and `stores_open` from which on nothing is waited for."""


class ErrorCode(IntEnum):
    """Why a job ended, as read from ERROR_CODE."""

    NONE = 0
    READ_SLAVE = 1
    READ_DECODE = 2
    WRITE_SLAVE = 3
    WRITE_DECODE = 4
    BAD_DESCRIPTOR = 5
    DRAM_RANGE = 6
    ACTIVATION_RANGE = 7
    WEIGHT_LENGTH = 8
    WATCHDOG = 9
    ABORTED = 10

    @property
    def meaning(self) -> str:
        """One sentence for documentation and driver errors."""
        return _ERROR_MEANINGS[self]


_ERROR_MEANINGS: dict[ErrorCode, str] = {
    ErrorCode.NONE: "no error",
    ErrorCode.READ_SLAVE: "an AXI read was answered with SLVERR",
    ErrorCode.READ_DECODE: "an AXI read was answered with DECERR",
    ErrorCode.WRITE_SLAVE: "an AXI write was answered with SLVERR",
    ErrorCode.WRITE_DECODE: "an AXI write was answered with DECERR",
    ErrorCode.BAD_DESCRIPTOR: "a descriptor has an unknown opcode, a wrong magic or a field out of its range",
    ErrorCode.DRAM_RANGE: "a descriptor reaches outside the job's DRAM window or is not aligned",
    ErrorCode.ACTIVATION_RANGE: "a descriptor reaches outside the activation memory",
    ErrorCode.WEIGHT_LENGTH: "a weight stream is longer or shorter than its layer needs",
    ErrorCode.WATCHDOG: "nothing moved for the number of cycles in WATCHDOG_CYCLES",
    ErrorCode.ABORTED: "the host wrote ABORT",
}


@dataclass(frozen=True, kw_only=True)
class Field:
    """A bit field of a descriptor: `width` bits from bit `lsb` of 32-bit word `word`.

    Attributes:
        opcodes: those that have the field, none for all. Others may have another field in its place.
    """

    name: str
    word: int
    lsb: int
    width: int
    signed: bool = False
    doc: str
    opcodes: tuple[Opcode, ...] = ()

    def belongs_to(self, opcode: int) -> bool:
        """Whether descriptors with this opcode have the field."""
        return not self.opcodes or opcode in self.opcodes

    @property
    def offset(self) -> int:
        """Bit offset in the descriptor."""
        return 32 * self.word + self.lsb

    @property
    def bounds(self) -> tuple[int, int]:
        """Smallest and largest value."""
        if self.signed:
            return -(1 << (self.width - 1)), (1 << (self.width - 1)) - 1
        return 0, (1 << self.width) - 1


_PRODUCT = (Opcode.PRODUCT,)
_CONV = (Opcode.CONV,)
_WINDOW = (Opcode.CONV, *VECTOR_WINDOW_OPCODES)
_MOVED = (Opcode.LOAD, Opcode.STORE, *STREAM_OPCODES)
_PAIRED = (Opcode.SUM, Opcode.MULTIPLY)
DESCRIPTOR_FIELDS: tuple[Field, ...] = (
    Field(name="opcode", word=0, lsb=0, width=8, doc="what to do"),
    Field(name="magic", word=0, lsb=8, width=8, doc="0x5A"),
    Field(name="loads_open", word=0, lsb=16, width=4, doc="earlier LOADs that need not be complete; 15: any number"),
    Field(name="matmuls_open", word=0, lsb=20, width=4, doc="earlier matrix descriptors that need not be complete"),
    Field(name="stores_open", word=0, lsb=24, width=4, doc="earlier STOREs that need not be complete"),
    Field(name="vectors_open", word=0, lsb=28, width=4, doc="earlier vector operations that need not be complete"),
    Field(name="dram_offset", word=1, lsb=0, width=32, opcodes=_MOVED, doc="byte offset, 64-byte aligned"),
    Field(name="parameters", word=1, lsb=0, width=32, opcodes=VECTOR_OPCODES, doc="word of the channel parameters"),
    Field(name="dram_bytes", word=2, lsb=0, width=32, doc="bytes to move"),
    Field(name="source", word=3, lsb=0, width=32, doc="activation memory word: first input, data of STORE"),
    Field(name="destination", word=4, lsb=0, width=32, doc="activation memory word: first output, target of LOAD"),
    Field(name="tokens", word=5, lsb=0, width=16, doc="activations (rows of the input matrix)"),
    Field(name="weight_format", word=5, lsb=16, width=2, doc="0 int8, 1 SSVQ, 2 VQ"),
    Field(name="index_width", word=5, lsb=18, width=4, doc="bits of an index, log2(codebook_size); 8 for int8"),
    Field(name="vector_dim_log2", word=5, lsb=22, width=3, doc="log2(vector_dim); 0 for int8"),
    Field(name="narrow_bias", word=5, lsb=25, width=1, doc="1: biases are int16, shifted left by bias_shift"),
    Field(name="shared_multiplier", word=5, lsb=26, width=1, doc="1: all channels have the descriptor's multiplier"),
    Field(name="bias_shift", word=5, lsb=27, width=4, doc="shift of narrow biases, otherwise 0"),
    Field(name="transposed", word=5, lsb=31, width=1, doc="1, an operand word is along the input channels"),
    Field(name="k_tiles", word=6, lsb=0, width=16, opcodes=MATRIX_OPCODES, doc="tiles along the inputs"),
    Field(name="channels", word=6, lsb=0, width=16, opcodes=VECTOR_OPCODES, doc="channels of every tensor"),
    Field(name="n_tiles", word=6, lsb=16, width=16, opcodes=MATRIX_OPCODES, doc="tiles along the output channels"),
    Field(name="input_stride", word=7, lsb=0, width=16, doc="words from one input activation to the next"),
    Field(name="output_stride", word=7, lsb=16, width=16, doc="words from one output activation to the next"),
    Field(name="last_rows", word=8, lsb=0, width=8, doc="rows in use in the last tile of the input channels"),
    Field(name="zero_point", word=8, lsb=8, width=8, signed=True, doc="zero point of the output"),
    Field(name="clamp_min", word=8, lsb=16, width=8, signed=True, doc="smallest output value"),
    Field(name="clamp_max", word=8, lsb=24, width=8, signed=True, doc="largest output value"),
    Field(name="early_tiles", word=9, lsb=0, width=16, doc="k tiles that do not wait for the last column before"),
    Field(name="batch_last", word=9, lsb=16, width=16, doc="number of the last product, from 0"),
    Field(name="operand", word=10, lsb=0, width=32, opcodes=_PRODUCT, doc="activation memory word of the weights"),
    Field(name="input_height", word=10, lsb=0, width=12, opcodes=_WINDOW, doc="rows of the input image"),
    Field(name="epsilon", word=10, lsb=0, width=32, opcodes=(Opcode.LAYERNORM,), doc="added to the spread"),
    Field(name="input_width", word=10, lsb=12, width=12, opcodes=_WINDOW, doc="pixels in a row of the input image"),
    Field(
        name="padding_value", word=10, lsb=24, width=8, signed=True, opcodes=_CONV, doc="channels of a pixel outside"
    ),
    Field(
        name="extra_taps",
        word=10,
        lsb=24,
        width=3,
        opcodes=(Opcode.DEPTHWISE,),
        doc="windows beside the first that take a pixel in the same cycle",
    ),
    Field(name="operand_stride", word=11, lsb=0, width=16, opcodes=_PRODUCT, doc="words between operand rows"),
    Field(name="origin_y", word=11, lsb=0, width=13, signed=True, opcodes=_WINDOW, doc="row of the first window"),
    Field(name="second_source", word=11, lsb=0, width=32, opcodes=_PAIRED, doc="word of the second tensor"),
    Field(name="inverse", word=11, lsb=0, width=26, opcodes=(Opcode.LAYERNORM,), doc="of the number of channels"),
    Field(name="origin_x", word=11, lsb=13, width=13, signed=True, opcodes=_WINDOW, doc="its place in that row"),
    Field(name="operand_batch_stride", word=11, lsb=16, width=16, opcodes=_PRODUCT, doc="words between operands"),
    Field(name="stride_y", word=11, lsb=26, width=3, opcodes=_WINDOW, doc="input rows from a window to the one below"),
    Field(name="stride_x", word=11, lsb=29, width=3, opcodes=_WINDOW, doc="input pixels from a window to the next"),
    Field(name="input_batch_stride", word=12, lsb=0, width=16, opcodes=_PRODUCT, doc="words between inputs"),
    Field(name="row_stride", word=12, lsb=0, width=16, opcodes=_WINDOW, doc="words from one input row to the next"),
    Field(name="second_stride", word=12, lsb=0, width=16, opcodes=_PAIRED, doc="words between its activations"),
    Field(name="output_batch_stride", word=12, lsb=16, width=16, opcodes=_PRODUCT, doc="words between outputs"),
    Field(name="channel_tiles", word=12, lsb=16, width=12, opcodes=_CONV, doc="k tiles at each position of the kernel"),
    Field(name="planes", word=12, lsb=16, width=4, opcodes=VECTOR_OPCODES, doc="parameters that channels have"),
    Field(name="shift_code", word=12, lsb=20, width=3, opcodes=VECTOR_OPCODES, doc="shift of the result"),
    Field(name="table_use", word=12, lsb=23, width=2, opcodes=VECTOR_OPCODES, doc="0 none, 1 load, 2 as it is"),
    Field(name="has_second", word=12, lsb=25, width=1, opcodes=_PAIRED, doc="1: there is a second tensor"),
    Field(name="largest", word=12, lsb=26, width=1, opcodes=(Opcode.POOL,), doc="1: largest pixel, 0: sum of a window"),
    Field(name="kernel_width", word=12, lsb=28, width=4, opcodes=_WINDOW, doc="positions in a row of the kernel"),
    Field(name="mantissa", word=13, lsb=0, width=12, opcodes=MATRIX_OPCODES, doc="shared multiplier"),
    Field(
        name="multiplier", word=13, lsb=0, width=16, signed=True, opcodes=VECTOR_OPCODES, doc="shared by all channels"
    ),
    Field(
        name="exponent",
        word=13,
        lsb=12,
        width=4,
        opcodes=MATRIX_OPCODES,
        doc="shared multiplier: shift beyond the smallest",
    ),
    Field(name="last_columns", word=13, lsb=16, width=8, opcodes=_PRODUCT, doc="columns in use in the last tile"),
    Field(
        name="input_zero_point",
        word=13,
        lsb=16,
        width=8,
        signed=True,
        opcodes=VECTOR_OPCODES,
        doc="zero point of the (first) input",
    ),
    Field(
        name="residency",
        word=13,
        lsb=24,
        width=2,
        opcodes=STREAM_OPCODES,
        doc="0 from DRAM, 1 and kept in the cache, 2 from the cache",
    ),
    Field(name="second_zero_point", word=13, lsb=24, width=8, signed=True, opcodes=_PAIRED, doc="of the second tensor"),
    Field(name="cache_offset", word=14, lsb=0, width=32, opcodes=STREAM_OPCODES, doc="byte offset in the cache"),
    Field(name="table", word=14, lsb=0, width=32, opcodes=VECTOR_OPCODES, doc="word of the table, if there is one"),
    Field(name="output_width", word=15, lsb=0, width=12, opcodes=_WINDOW, doc="windows in a row"),
    Field(name="dilation_y", word=15, lsb=12, width=4, opcodes=_WINDOW, doc="input rows from a kernel row to the next"),
    Field(name="dilation_x", word=15, lsb=16, width=4, opcodes=_WINDOW, doc="input pixels between kernel positions"),
    Field(
        name="second_multiplier", word=15, lsb=16, width=16, signed=True, opcodes=_PAIRED, doc="of the second tensor"
    ),
    Field(name="kernel_height", word=15, lsb=20, width=12, opcodes=VECTOR_WINDOW_OPCODES, doc="rows of the kernel"),
)
FIELD_BY_NAME: dict[str, Field] = {f.name: f for f in DESCRIPTOR_FIELDS}


def pack_descriptor(values: Mapping[str, int]) -> bytes:
    """64 bytes of a descriptor; `magic` is filled in, absent fields are zero.

    Raises FormatError for unknown fields, values out of range, and values other than 0 in fields of other opcodes.
    """
    image = DESCRIPTOR_MAGIC << FIELD_BY_NAME["magic"].offset if "magic" not in values else 0
    for name, value in values.items():
        field = FIELD_BY_NAME.get(name)
        if field is None:
            raise FormatError(f"a descriptor has no field {name!r}")
        low, high = field.bounds
        if not low <= value <= high:
            raise FormatError(f"descriptor field {name} must be from {low} to {high}, not {value}")
        if value and not field.belongs_to(values.get("opcode", 0)):
            known = " and ".join(opcode.name for opcode in field.opcodes)
            raise FormatError(f"descriptor field {name} is of {known}, and must be 0 in others, not {value}")
        image |= (value & ((1 << field.width) - 1)) << field.offset
    return image.to_bytes(DESCRIPTOR_BYTES, "little")


def unpack_descriptor(data: bytes) -> dict[str, int]:
    """Fields of a descriptor, the inverse of `pack_descriptor`; those of other opcodes are zero.

    Raises FormatError when it is not 64 bytes.
    """
    if len(data) != DESCRIPTOR_BYTES:
        raise FormatError(f"a descriptor is {DESCRIPTOR_BYTES} bytes, not {len(data)}")
    image = int.from_bytes(data, "little")
    opcode = image & ((1 << FIELD_BY_NAME["opcode"].width) - 1)
    values = {}
    for field in DESCRIPTOR_FIELDS:
        value = (image >> field.offset) & ((1 << field.width) - 1) if field.belongs_to(opcode) else 0
        values[field.name] = value - (1 << field.width) if value > field.bounds[1] else value
    return values


class ParameterPlane(IntFlag):
    """Parameters that a vector operation has for each channel; others are the descriptor's, or 0.

    They are stored in the activation memory for one word of channels after the other, for each word as words of one
    byte for each channel: multiplier, second multiplier, offset and gain shift, each from its least significant byte.
    The words of a DEPTHWISE go on with the weights, one word for each position of the kernel, row by row.
    """

    MULTIPLIER = 1
    SECOND_MULTIPLIER = 2
    OFFSET = 4
    GAIN_SHIFT = 8

    @property
    def plane_bytes(self) -> int:
        """Bytes of a channel's parameters."""
        return sum(PLANE_BYTES[plane] for plane in ParameterPlane if plane in self)


PLANE_BYTES = {
    ParameterPlane.MULTIPLIER: MULTIPLIER_WIDTH // 8,
    ParameterPlane.SECOND_MULTIPLIER: MULTIPLIER_WIDTH // 8,
    ParameterPlane.OFFSET: OFFSET_WIDTH // 8,
    ParameterPlane.GAIN_SHIFT: 1,
}
TABLE_ENTRIES = 256
TABLE_ENTRY_BYTES = 2
"""A table's entries are of 16 bits, int8 extended by their sign, one after the other."""


class TableUse(IntEnum):
    """Whether a vector operation has a table."""

    NONE = 0
    LOAD = 1
    KEPT = 2
