"""Small configurations that between them have every relation of rows, columns, lanes and bus."""

from ssvq_gen.config import ECP5, PACKING_PORTS, CoreConfig, WeightFormat

SQUARE = CoreConfig(
    name="square",
    rows=8,
    cols=8,
    axi_data_width=32,
    activation_bytes=8 * 250,  # no power of two of words
    accumulator_depth=8,
    max_codebook_size=64,
    weight_buffer_depth=64,
    requantize_lanes=2,
)
"""One column group; a memory word is as wide as both sides of the array."""

WIDE = CoreConfig(
    name="wide",
    rows=4,
    cols=16,
    axi_data_width=64,
    activation_bytes=16 * 256,
    accumulator_depth=16,
    max_codebook_size=16,
    decode_lanes=8,
    requantize_lanes=16,
    weight_buffer_depth=64,
)
"""Two column groups, one row block; all channels are requantized at once; a memory word holds four tiles of rows."""

TALL = CoreConfig(
    name="tall",
    rows=32,
    cols=8,
    axi_data_width=128,
    activation_bytes=32 * 100,
    accumulator_depth=4,
    max_codebook_size=128,
    requantize_lanes=1,
    weight_buffer_depth=64,
)
"""Longest vectors; one channel is requantized at a time; a memory word holds four tile columns; padded streams."""

QUARTER = CoreConfig(
    name="quarter",
    rows=8,
    cols=32,
    axi_data_width=32,
    activation_bytes=32 * 64,
    accumulator_depth=4,
    max_codebook_size=32,
    decode_lanes=8,
    requantize_lanes=4,
    weight_buffer_depth=64,
)
"""Four column groups."""

FULL = CoreConfig(
    name="full",
    rows=16,
    cols=16,
    axi_data_width=64,
    activation_bytes=16 * 64,
    accumulator_depth=4,
    max_codebook_size=256,
    decode_lanes=16,
    requantize_lanes=8,
    weight_buffer_depth=64,
)
"""Stream words of 64 bits."""

BROAD = CoreConfig(
    name="broad",
    rows=4,
    cols=32,
    axi_data_width=128,
    activation_bytes=32 * 64,
    accumulator_depth=4,
    max_codebook_size=8,
    decode_lanes=32,
    requantize_lanes=32,
    weight_buffer_depth=64,
)
"""Stream words of 128 bits: two cycles for each of a codebook."""

PACKED = tuple(
    config.replace(name=f"{config.name}_{target}", target=target, packed_macs=True)
    for config in (SQUARE, WIDE, TALL)
    for target in PACKING_PORTS
)
"""One segment and several, of 4, 8 and 16 rows."""

ON_ECP5 = tuple(config.replace(name=f"{config.name}_ecp5", target=ECP5) for config in (SQUARE, WIDE, TALL))
"""Rows with registers inside multiplier blocks."""

CONFIGS = (SQUARE, WIDE, TALL, QUARTER, FULL)

LARGE_CODEBOOK = SQUARE.replace(name="large_codebook", max_codebook_size=4096)
INT8_ONLY = SQUARE.replace(name="int8_only", formats=(WeightFormat.INT8,))
SSVQ_ONLY = SQUARE.replace(name="ssvq_only", formats=(WeightFormat.SSVQ,), max_codebook_size=2)
VQ_ONLY = WIDE.replace(name="vq_only", formats=(WeightFormat.VQ,), max_codebook_size=4)
CACHED = SQUARE.replace(name="cached", weight_cache_bytes=1 << 10)
NO_VECTORS = SQUARE.replace(name="no_vectors", vector=False)
NO_PRODUCTS = WIDE.replace(name="no_products", attention=False, weight_cache_bytes=1 << 12)
NO_DEPTHWISE = WIDE.replace(name="no_depthwise", depthwise_taps=0)
FIVE_TAPS = TALL.replace(name="five_taps", depthwise_taps=5)
NO_CONVOLUTIONS = WIDE.replace(name="no_convolutions", convolution=False)

INT8, SSVQ, VQ = WeightFormat.INT8, WeightFormat.SSVQ, WeightFormat.VQ

FORMATS = {
    SQUARE.name: ((INT8, 256, 1), (SSVQ, 64, 8), (VQ, 2, 2), (SSVQ, 16, 2), (VQ, 32, 4)),
    WIDE.name: ((INT8, 256, 1), (SSVQ, 16, 4), (VQ, 4, 2), (SSVQ, 2, 2), (VQ, 8, 4)),
    TALL.name: ((INT8, 256, 1), (SSVQ, 32, 32), (VQ, 2, 32), (SSVQ, 64, 16), (VQ, 128, 8), (SSVQ, 8, 4), (VQ, 4, 2)),
    QUARTER.name: ((INT8, 256, 1), (SSVQ, 32, 8), (VQ, 16, 4), (SSVQ, 4, 2), (VQ, 32, 8)),
    FULL.name: ((INT8, 256, 1), (SSVQ, 128, 16), (VQ, 256, 8), (SSVQ, 2, 2), (VQ, 16, 16)),
    BROAD.name: ((VQ, 2, 4), (SSVQ, 8, 4), (INT8, 256, 1), (VQ, 8, 2), (SSVQ, 2, 2)),
    LARGE_CODEBOOK.name: ((SSVQ, 4096, 8), (VQ, 4096, 2), (SSVQ, 1024, 4), (INT8, 256, 1)),
    INT8_ONLY.name: ((INT8, 256, 1), (INT8, 256, 1)),
    SSVQ_ONLY.name: ((SSVQ, 2, 8), (SSVQ, 2, 2)),
    VQ_ONLY.name: ((VQ, 4, 4), (VQ, 2, 2)),
}
"""Layers to decode on each configuration: format, codebook size, vector dimension. Every vector dimension and index
width from smallest to largest is there."""


def name_of(value: object) -> str:
    """Test id of a parameter."""
    return value.name if isinstance(value, (CoreConfig, WeightFormat)) else str(value)
