"""Commands of the unpacker, and layers with every width of channel parameters."""

from ssvq.integer_weights import IntegerWeights
from ssvq.weight_stream import parameter_fields, stream_format_of, tile_counts
from ssvq_gen.config import CoreConfig

RECORDS = ((None, False), (None, True), (0, False), (11, True), (15, False))
"""`bias_shift` and `shared_multiplier` of layers with records of 48, 32, 32, 16 and 32 bits."""


def layer_shape(layer: IntegerWeights, config: CoreConfig, index: int = 0) -> dict[str, int]:
    """Payload of the unpacker's command port for the stream of a layer."""
    f = stream_format_of(layer, config)
    k_tiles, n_tiles = tile_counts(layer, config)
    return {
        "weight_format": layer.weight_format,
        "index_width": f.index_width,
        "vector_dim_log2": f.vector_dim_log2,
        "k_tiles": k_tiles,
        "n_tiles": n_tiles,
        "index": index,
        **parameter_fields(layer),
    }


def product_shape(*, n_tiles: int, batch_last: int, mantissa: int, exponent: int, index: int = 0) -> dict[str, int]:
    """Payload of the unpacker's command port for a PRODUCT."""
    return {
        "is_product": 1,
        "k_tiles": 3,
        "n_tiles": n_tiles,
        "batch_last": batch_last,
        "mantissa": mantissa,
        "exponent": exponent,
        "index": index,
    }
