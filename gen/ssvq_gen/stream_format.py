"""The binary format of a layer's weight stream: codebook, channel parameters, and weights in decode steps."""

from __future__ import annotations

from dataclasses import dataclass

from .arithmetic import BIAS_WIDTH, EXPONENT_WIDTH, MANTISSA_WIDTH
from .config import LANE_WEIGHTS, CoreConfig, WeightFormat
from .format import FormatError

NARROW_BIAS_WIDTH = 16
"""Bits of a narrow bias, which is shifted left by `bias_shift`."""
MULTIPLIER_WIDTH = MANTISSA_WIDTH + EXPONENT_WIDTH
CHANNEL_PARAMETER_WIDTH = BIAS_WIDTH + MULTIPLIER_WIDTH
"""Bits of the widest record of an output channel: bias, mantissa, exponent."""
PARAMETER_UNIT_WIDTH = 16
"""Every record is one, two or three of these: stream words divide a tile column's records evenly."""


@dataclass(frozen=True, kw_only=True)
class StreamFormat:
    """Layout of one layer's weight stream, in words of `CoreConfig.stream_width` bits.

    A stream is the codebook, then for every tile column (n): the channel parameters, then the tiles (k) in decode
    steps. A *step* decodes 4 rows x `decode_lanes` columns; a tile's steps go over its row blocks, and inside a row
    block over its column groups. Steps come in *groups* that share index words; a new group starts with every tile
    column. A group is `planes` index words, most significant bit first, then for SSVQ one sign word for each step.

    * Bit ``q`` of an index word belongs to the group's subvector ``q``. With H column groups, L lanes: chunk
      ``q // L`` is row block of subvectors ``chunk // H``, column group ``chunk % H``; lane ``q % L`` is the column in
      that group. When vector_dim is 2, a step takes two chunks: chunk ``2 * step`` for its upper two rows, then
      ``2 * step + 1`` for its lower two.
    * Bit ``r * L + lane`` of a sign word (and of an int8 plane) belongs to row ``r`` of the step's four.
    * The codebook is words of four int8, slice by slice: word ``slice * codebook_size + index`` holds weights
      ``4 * slice ...`` of the codeword. A codeword of two weights fills its word twice.
    * Channel parameters: a record of `parameter_width` bits for each of the `cols` channels, without gaps. From the
      least significant bit: the bias, of 16 bits with `narrow_bias` and else 32, then mantissa and exponent unless the
      layer has a `shared_multiplier`. They are always whole words.

    Unused bits are zero. The whole stream is padded to `CoreConfig.stream_alignment`.
    """

    config: CoreConfig
    weight_format: WeightFormat
    codebook_size: int = 256
    vector_dim: int = 1
    narrow_bias: bool = False
    shared_multiplier: bool = False

    def __post_init__(self) -> None:
        c = self.config
        if self.weight_format not in c.formats:
            raise FormatError(f"core {c.name!r} was generated without the format {self.weight_format.name.lower()}")
        if self.weight_format is WeightFormat.INT8:
            if (self.codebook_size, self.vector_dim) != (256, 1):
                raise FormatError("int8 weights have no codebook: leave codebook_size at 256 and vector_dim at 1")
            return
        for name, value, low, high in (
            ("codebook_size", self.codebook_size, 2, c.max_codebook_size),
            ("vector_dim", self.vector_dim, 2, c.max_vector_dim),
        ):
            if value & (value - 1) or not low <= value <= high:
                raise FormatError(f"{name} must be a power of two from {low} to {high} on core {c.name!r}, not {value}")
        if self.codebook_words > c.codebook_depth:
            raise FormatError(
                f"a codebook of {self.codebook_size} x {self.vector_dim} takes {self.codebook_words} words; "
                f"core {c.name!r} has {c.codebook_depth}: raise max_codebook_size"
            )

    @property
    def index_width(self) -> int:
        """Bits of an index; also the number of index planes in a group."""
        return self.codebook_size.bit_length() - 1

    @property
    def vector_dim_log2(self) -> int:
        """Code of vector_dim in a descriptor."""
        return self.vector_dim.bit_length() - 1

    @property
    def slices(self) -> int:
        """Codebook words of one codeword."""
        return max(1, self.vector_dim // LANE_WEIGHTS)

    @property
    def codebook_words(self) -> int:
        """32-bit words of codebook RAM in use."""
        return 0 if self.weight_format is WeightFormat.INT8 else self.codebook_size * self.slices

    @property
    def codebook_stream_words(self) -> int:
        """Stream words of the codebook."""
        return -(-self.codebook_words * 32 // self.config.stream_width)

    @property
    def bias_width(self) -> int:
        """Bits of a bias in the channel parameters."""
        return NARROW_BIAS_WIDTH if self.narrow_bias else BIAS_WIDTH

    @property
    def parameter_width(self) -> int:
        """Bits of one channel's parameters."""
        return self.bias_width + (0 if self.shared_multiplier else MULTIPLIER_WIDTH)

    @property
    def parameter_words(self) -> int:
        """Stream words of the channel parameters of one tile column."""
        return self.config.cols * self.parameter_width // self.config.stream_width

    @property
    def steps_per_group(self) -> int:
        """Decode steps that share one set of index words."""
        return max(1, self.vector_dim)

    def column_words(self, k_tiles: int) -> int:
        """Stream words of one tile column, its parameters included."""
        steps = k_tiles * self.config.steps_per_tile
        groups = -(-steps // self.steps_per_group)
        signs = steps if self.weight_format is WeightFormat.SSVQ else 0
        return self.parameter_words + groups * self.index_width + signs

    def total_bytes(self, k_tiles: int, n_tiles: int) -> int:
        """Bytes of a layer's stream, padded to whole beats and words."""
        words = self.codebook_stream_words + n_tiles * self.column_words(k_tiles)
        align = self.config.stream_alignment
        return -(-words * self.config.stream_bytes // align) * align
