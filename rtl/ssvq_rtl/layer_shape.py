"""What unpacker and decoder are told of a layer."""

from amaranth.lib import data

from ssvq_gen.arithmetic import EXPONENT_WIDTH, MANTISSA_WIDTH
from ssvq_gen.config import CODEBOOK_PAGES, CoreConfig, WeightFormat

from .bus import TAG_WIDTH
from .parameters import BIAS_SHIFT_WIDTH


class LayerShape(data.StructLayout):
    """What the unpacker has to know of a layer, as in its descriptor. With `is_product` it has no stream."""

    def __init__(self) -> None:
        super().__init__(
            {
                "weight_format": WeightFormat,
                "index_width": 4,
                "vector_dim_log2": 3,
                "k_tiles": 16,
                "n_tiles": 16,
                "narrow_bias": 1,
                "shared_multiplier": 1,
                "bias_shift": BIAS_SHIFT_WIDTH,
                "mantissa": MANTISSA_WIDTH,
                "exponent": EXPONENT_WIDTH,
                "is_product": 1,
                "batch_last": 16,
                "index": TAG_WIDTH,
            }
        )


class Group(data.StructLayout):
    """The index planes of one group of decode steps. Plane p holds bit p of every index.

    codebook_page : which of the codebooks in the lanes' RAM the indices are for
    is_product : not a group, but the place of a PRODUCT among the layers, whose weights do not come from the stream
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "planes": data.ArrayLayout(config.stream_width, config.plane_count),
                "steps": 6,
                "weight_format": WeightFormat,
                "index_width": 4,
                "vector_dim_log2": 3,
                **({"codebook_page": range(CODEBOOK_PAGES)} if config.has_codebook else {}),
                "is_product": 1,
            }
        )
