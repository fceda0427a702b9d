"""Beats of the weight stream to the decoder's stream words."""

from ssvq_gen.config import CoreConfig

from .checks import require_config
from .width_converter import WidthConverter


class StreamResizer(WidthConverter):
    """Converts bus beats to words of `config.stream_width` bits; the first word is the least significant.

    Streams are padded to `config.stream_alignment`, so `last` never ends a word early. Latency 1 cycle; one word a
    cycle on the narrower side.

    Members
    -------
    i : stream of StreamWord(config.axi_data_width)
    o : stream of StreamWord(config.stream_width)
    """

    def __init__(self, *, config: CoreConfig) -> None:
        config = require_config(config)
        super().__init__(i_width=config.axi_data_width, o_width=config.stream_width)
