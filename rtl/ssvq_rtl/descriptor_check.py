"""Says whether a descriptor can be run."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import LANE_WEIGHTS, CoreConfig, WeightFormat
from ssvq_gen.format import (
    DESCRIPTOR_MAGIC,
    DRAM_ALIGNMENT,
    VECTOR_OPCODES,
    VECTOR_WINDOW_OPCODES,
    ErrorCode,
    Opcode,
    Residency,
    TableUse,
)
from ssvq_gen.vector_arithmetic import CHANNELS_MAX, DEPTHWISE_KERNEL_MAX, POOL_POSITIONS_MAX, SHIFTS

from .bus import ERROR_CODE_WIDTH
from .checks import require_config
from .descriptor import descriptor_layout
from .walk import times

_INT8_INDEX_WIDTH = 8
_LANE_WEIGHTS_LOG2 = LANE_WEIGHTS.bit_length() - 1


class DescriptorCheck(wiring.Component):
    """Checks the fields of one descriptor against the configuration and the job's DRAM window.

    Latency 0. Activation addresses of all but LOAD and STORE depend on strides and are checked where they arise.

    Members
    -------
    fields : the descriptor
    memory_size : bytes in the DRAM window
    code : `ErrorCode`, NONE when the descriptor can be run
    words : activation memory words of a LOAD or STORE
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "fields": In(descriptor_layout()),
                "memory_size": In(32),
                "code": Out(ERROR_CODE_WIDTH),
                "words": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fields = self.fields
        word_bytes_log2 = self._config.word_bytes.bit_length() - 1
        alignment_log2 = DRAM_ALIGNMENT.bit_length() - 1
        stream_log2 = self._config.stream_alignment.bit_length() - 1
        is_load, is_store, is_matmul, is_product, is_conv = (
            fields.opcode == opcode
            for opcode in (Opcode.LOAD, Opcode.STORE, Opcode.MATMUL, Opcode.PRODUCT, Opcode.CONV)
        )
        is_vector = Cat(fields.opcode == opcode for opcode in VECTOR_OPCODES).any() & self._config.vector
        has_stream = is_matmul | (is_conv & self._config.convolution)
        is_matrix = has_stream | (is_product & self._config.attention)
        is_known = is_load | is_store | is_matrix | is_vector
        moves = is_load | is_store | has_stream
        is_cached = has_stream & (fields.residency == Residency.REUSE)

        # Sums and comparisons as wide as their operands need: nothing wraps.
        out_of_window = moves & ~is_cached & ((fields.dram_offset + fields.dram_bytes) > self.memory_size)
        unaligned = moves & (
            fields.dram_offset[:alignment_log2].any()
            | Mux(has_stream, fields.dram_bytes[:stream_log2].any(), fields.dram_bytes[:word_bytes_log2].any())
        )
        first_word = Mux(is_load, fields.destination, fields.source)
        out_of_activations = (is_load | is_store) & ((first_word + self.words) > self._config.activation_depth)

        bad_field = (
            ((fields.dram_bytes == 0) ^ (is_product | is_vector))
            | (is_matrix & self._bad_matrix())
            | (has_stream & (self._bad_format(m) | self._bad_residency()))
            | (is_conv & self._bad_window("channel_tiles"))
            | (is_product & ((fields.last_columns == 0) | (fields.last_columns > self._config.cols)))
            | (~is_product & (fields.batch_last != 0))
            | (is_vector & self._bad_vector())
            | (is_vector & self._bad_vector_window())
        )
        m.d.comb += self.words.eq(fields.dram_bytes >> word_bytes_log2)
        with m.If((fields.magic != DESCRIPTOR_MAGIC) | ~is_known | bad_field):
            m.d.comb += self.code.eq(ErrorCode.BAD_DESCRIPTOR)
        with m.Elif(out_of_window | unaligned):
            m.d.comb += self.code.eq(ErrorCode.DRAM_RANGE)
        with m.Elif(out_of_activations):
            m.d.comb += self.code.eq(ErrorCode.ACTIVATION_RANGE)
        with m.Else():
            m.d.comb += self.code.eq(ErrorCode.NONE)
        return m

    def _bad_matrix(self) -> Value:
        """What matrix descriptors have in common."""
        fields = self.fields
        return (
            (fields.tokens == 0)
            | (fields.tokens > self._config.accumulator_depth)
            | (fields.k_tiles == 0)
            | (fields.n_tiles == 0)
            | (fields.last_rows == 0)
            | (fields.last_rows > self._config.rows)
            | (fields.clamp_min > fields.clamp_max)
        )

    def _bad_window(self, count: str) -> Value:
        """Windows are wherever their numbers lead; only a step or a count of zero makes none."""
        counts = ("input_height", "input_width", "output_width", "kernel_width", count)
        steps = ("stride_y", "stride_x", "dilation_y", "dilation_x")
        return Cat(self.fields[name] == 0 for name in counts + steps).any()

    def _bad_vector(self) -> Value:
        fields = self.fields
        is_sum, is_multiply, is_softmax = (
            fields.opcode == opcode for opcode in (Opcode.SUM, Opcode.MULTIPLY, Opcode.SOFTMAX)
        )
        is_window = Cat(fields.opcode == opcode for opcode in VECTOR_WINDOW_OPCODES).any()
        any_tokens = is_sum | is_multiply | is_window
        has_second = fields.has_second
        return (
            (fields.tokens == 0)
            | (~any_tokens & (fields.tokens > self._config.accumulator_depth))
            | (fields.channels == 0)
            | (fields.channels > CHANNELS_MAX)
            | (fields.clamp_min > fields.clamp_max)
            | (fields.table_use > max(TableUse))
            | (fields.shift_code >= len(SHIFTS))
            | (is_softmax & ((fields.table_use == TableUse.NONE) | (fields.input_zero_point != 0)))
            | (is_multiply & ~has_second)
            | (~(is_sum | is_multiply) & has_second)
        )

    def _bad_vector_window(self) -> Value:
        """Of a POOL or DEPTHWISE; the windows that a pixel belongs to are as many as there are taps, and no fewer."""
        fields, taps = self.fields, self._config.depthwise_taps
        height, width = fields.kernel_height, fields.kernel_width
        is_pool, is_depthwise = fields.opcode == Opcode.POOL, fields.opcode == Opcode.DEPTHWISE
        bad = (is_pool | is_depthwise) & self._bad_window("kernel_height")
        bad |= is_pool & (times(height, width) > POOL_POSITIONS_MAX)
        if not taps:
            return bad | is_depthwise
        reach = times(fields.stride_x, fields.extra_taps)
        several = fields.extra_taps != 0
        bad |= is_depthwise & ((height > DEPTHWISE_KERNEL_MAX) | (width > DEPTHWISE_KERNEL_MAX))
        bad |= is_depthwise & (fields.extra_taps >= taps)
        fits = (reach < width) & (width <= reach + fields.stride_x) & (fields.dilation_x == 1)
        return bad | (is_depthwise & several & ~fits)

    def _bad_residency(self) -> Value:
        fields = self.fields
        cache_bytes = self._config.weight_cache_bytes
        if cache_bytes == 0:
            return fields.residency != Residency.NONE
        out_of_cache = (fields.cache_offset + fields.dram_bytes) > cache_bytes
        unaligned = fields.cache_offset[: DRAM_ALIGNMENT.bit_length() - 1].any()
        return (fields.residency > max(Residency)) | ((fields.residency != Residency.NONE) & (out_of_cache | unaligned))

    def _bad_format(self, m: Module) -> Value:
        config = self._config
        fields = self.fields
        bad_format = Signal(init=1)
        dim_log2 = fields.vector_dim_log2
        slices_log2 = Mux(dim_log2 > _LANE_WEIGHTS_LOG2, dim_log2 - _LANE_WEIGHTS_LOG2, 0)
        codebook_log2 = Signal(6)
        m.d.comb += codebook_log2.eq(fields.index_width + slices_log2)
        with m.Switch(fields.weight_format):
            for weight_format in config.formats:
                with m.Case(weight_format):
                    if weight_format is WeightFormat.INT8:
                        m.d.comb += bad_format.eq((fields.index_width != _INT8_INDEX_WIDTH) | (dim_log2 != 0))
                    else:
                        m.d.comb += bad_format.eq(
                            (fields.index_width == 0)
                            | (fields.index_width > config.index_width)
                            | (dim_log2 == 0)
                            | (dim_log2 > config.max_vector_dim.bit_length() - 1)
                            | (codebook_log2 > config.codebook_depth.bit_length() - 1)
                        )
        return bad_format
