"""Takes a layer's weight stream apart: codebook, channel parameters, index planes and sign words."""

from collections.abc import Callable
from typing import TypeAlias

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CODEBOOK_PAGES, CODEBOOK_WORD_WIDTH, CoreConfig, WeightFormat
from ssvq_gen.stream_format import PARAMETER_UNIT_WIDTH

from .bus import TAG_WIDTH, StreamWord
from .checks import require_config
from .layer_shape import Group, LayerShape
from .parameters import UNIT_WORDS_MAX, ParameterWord, unit_words

Shape: TypeAlias = "data.View[LayerShape]"


class Unpacker(wiring.Component):
    """Sends every word of a weight stream where it belongs, in the order of `ssvq_gen.stream_format.StreamFormat`.

    One stream word is taken per cycle, across layers when the next one's command is there, except in the codebook, of
    which at most 64 bits are written per cycle. Index planes are collected in a shift register, most
    significant plane first, and handed over together with the last one: latency 0 cycles from the last plane to
    `groups`, and to `signs` and `parameters`.

    A PRODUCT takes no stream words. A marker among the groups makes room for its weights, then every tile column of
    every product of the batch gets its channel parameters.

    Members
    -------
    commands : one `LayerShape` for each layer, in the order of the streams
    i : `StreamWord`
    codebook_en, codebook_addr, codebook_data : write port of the lanes' RAM; the page is the address's highest bit
    parameters : `ParameterWord`
    groups : index planes; accepted when the steps of the group before are issued
    signs : one word for each SSVQ step
    busy : a layer is in hand
    streaming : ... whose words are taken, not a PRODUCT
    begins, ends, index : the first or last word of a layer is taken, or first and last item of a PRODUCT; `index` is
        that of its descriptor
    error, error_tag : the stream of descriptor `error_tag` is longer or shorter than its layer; stays until reset
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "commands": In(stream.Signature(LayerShape())),
                "i": In(stream.Signature(StreamWord(config.stream_width))),
                "codebook_en": Out(1),
                "codebook_addr": Out(range(config.codebook_ram_depth)),
                "codebook_data": Out(config.codebook_write_words * CODEBOOK_WORD_WIDTH),
                "parameters": Out(stream.Signature(ParameterWord(config))),
                "groups": Out(stream.Signature(Group(config))),
                "signs": Out(stream.Signature(config.stream_width)),
                "busy": Out(1),
                "streaming": Out(1),
                "begins": Out(1),
                "ends": Out(1),
                "index": Out(TAG_WIDTH),
                "error": Out(1),
                "error_tag": Out(TAG_WIDTH),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        parameter_units = config.cols * PARAMETER_UNIT_WIDTH // config.stream_width
        steps_per_tile_log2 = config.steps_per_tile.bit_length() - 1
        padding_words = config.stream_alignment // config.stream_bytes

        layer = Signal(LayerShape())
        columns_left = Signal(16)
        steps_left = Signal(16 + steps_per_tile_log2)
        words_left = Signal(range(max(UNIT_WORDS_MAX * parameter_units, padding_words, 32) + 1))
        planes_left = Signal(4)
        planes = Signal(data.ArrayLayout(config.stream_width, config.plane_count), reset_less=True)
        took = Signal()  # a stream word is consumed in this cycle
        ends_layer = Signal()  # ... and the layer needs no other
        in_padding = Signal()
        in_product = Signal()
        is_first = Signal()
        m.d.comb += [
            took.eq(self.i.valid & self.i.ready),
            self.begins.eq(took & is_first),
            self.ends.eq(took & self.i.payload.last),
            self.index.eq(layer.index),
        ]
        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += is_first.eq(1)
        with m.Elif(took):
            m.d.sync += is_first.eq(0)

        # A group has vector_dim steps, and fewer at the end of a tile column.
        group_steps = Signal(6)
        full_group = 1 << layer.vector_dim_log2
        m.d.comb += group_steps.eq(Mux(steps_left < full_group, steps_left, full_group))

        m.d.comb += [
            self.parameters.payload.data.eq(self.i.payload.data),
            self.signs.payload.eq(self.i.payload.data),
            self.groups.payload.planes.eq(Cat(self.i.payload.data, planes)),
            self.groups.payload.steps.eq(group_steps),
            self.groups.payload.weight_format.eq(layer.weight_format),
            self.groups.payload.index_width.eq(layer.index_width),
            self.groups.payload.vector_dim_log2.eq(layer.vector_dim_log2),
        ]
        for name in ("narrow_bias", "shared_multiplier", "bias_shift", "mantissa", "exponent"):
            m.d.comb += self.parameters.payload[name].eq(layer[name])

        def start_column(layer: Shape) -> None:
            words = unit_words(layer.narrow_bias, layer.shared_multiplier) * parameter_units
            m.d.sync += [steps_left.eq(layer.k_tiles << steps_per_tile_log2), words_left.eq(words)]
            m.next = "PARAMETERS"

        def start_group() -> None:
            m.d.sync += [planes_left.eq(layer.index_width), planes.eq(0)]
            m.next = "PLANES"

        def end_group(steps_after: Value) -> None:
            with m.If(steps_after != 0):
                start_group()
            with m.Elif(columns_left != 0):
                m.d.sync += columns_left.eq(columns_left - 1)
                start_column(layer)
            with m.Else():
                m.d.comb += ends_layer.eq(1)
                m.d.sync += words_left.eq(padding_words - 1)
                with m.If(self.i.payload.last):
                    start_layer()
                with m.Else():
                    m.next = "PADDING"

        def start_layer() -> None:
            following = self.commands.payload
            m.d.comb += self.commands.ready.eq(1)
            m.d.sync += [layer.eq(following), columns_left.eq(following.n_tiles - 1)]
            with m.If(self.commands.valid):
                start_column(following)
                if config.has_codebook:
                    with m.If(following.weight_format != WeightFormat.INT8):
                        m.next = "CODEBOOK"
                if config.attention:
                    with m.If(following.is_product):
                        m.next = "PRODUCT"
            with m.Else():
                m.next = "IDLE"

        with m.FSM() as fsm:
            m.d.comb += [self.busy.eq(~fsm.ongoing("IDLE")), self.streaming.eq(self.busy & ~in_product)]
            with m.State("IDLE"):
                start_layer()
            if config.has_codebook:
                self._codebook_state(m, layer, start_column)
            if config.attention:
                self._product_states(m, layer, columns_left, in_product, start_layer)
            with m.State("PARAMETERS"):
                m.d.comb += [self.parameters.valid.eq(self.i.valid), self.i.ready.eq(self.parameters.ready)]
                with m.If(took):
                    m.d.sync += words_left.eq(words_left - 1)
                    with m.If(words_left == 1):
                        start_group()
            with m.State("PLANES"):
                with m.If(planes_left == 1):
                    m.d.comb += [self.groups.valid.eq(self.i.valid), self.i.ready.eq(self.groups.ready)]
                with m.Else():
                    m.d.comb += self.i.ready.eq(1)
                with m.If(took):
                    m.d.sync += [planes_left.eq(planes_left - 1), planes.eq(Cat(self.i.payload.data, planes))]
                    with m.If(planes_left == 1):
                        m.d.sync += steps_left.eq(steps_left - group_steps)
                        with m.If(layer.weight_format == WeightFormat.SSVQ):
                            m.d.sync += words_left.eq(group_steps)
                            m.next = "SIGNS"
                        with m.Else():
                            end_group(steps_left != group_steps)
            with m.State("SIGNS"):
                m.d.comb += [self.signs.valid.eq(self.i.valid), self.i.ready.eq(self.signs.ready)]
                with m.If(took):
                    m.d.sync += words_left.eq(words_left - 1)
                    with m.If(words_left == 1):
                        end_group(steps_left)
            with m.State("PADDING"):
                m.d.comb += [in_padding.eq(1), self.i.ready.eq(words_left != 0)]
                with m.If(took):
                    m.d.sync += words_left.eq(words_left - 1)
                    with m.If(self.i.payload.last):
                        start_layer()

        # The word that ends a layer is the last of its stream, but for padding; no other word is the last.
        early = took & self.i.payload.last & ~ends_layer & ~in_padding
        late = in_padding & (words_left == 0)
        with m.If((early | late) & ~self.error):
            m.d.sync += self.error.eq(1)
        with m.If(took & ~self.error):
            m.d.sync += self.error_tag.eq(self.i.payload.tag)
        return m

    def _codebook_state(self, m: Module, layer: Shape, start_column: Callable[[Shape], None]) -> None:
        """Write the codebook; a stream word is released with its last piece.

        Two pages suffice without a look at the decoder: the layer before has the other one, and this page's readers
        are older. Since the last group of the layer before was handed over, all groups before it are issued, and a
        step reads the codebook when it is issued.
        """
        config = self._config
        pieces = config.stream_width // len(self.codebook_data)
        depth = config.codebook_depth // config.codebook_write_words
        address = Signal(range(depth))
        last_address = Signal.like(address)
        page = Signal(range(CODEBOOK_PAGES))
        slices_log2 = Mux(layer.vector_dim_log2 > 2, layer.vector_dim_log2 - 2, 0)
        words_log2 = Signal(4)
        piece = address[: pieces.bit_length() - 1]
        m.d.comb += [
            words_log2.eq(layer.index_width + slices_log2),
            last_address.eq(((1 << words_log2) - 1) >> (config.codebook_write_words - 1)),
            self.codebook_addr.eq(Cat(address, page)),
            self.codebook_data.eq(self.i.payload.data.word_select(piece, len(self.codebook_data))),
            # Toggled behind the codebook.
            self.groups.payload.codebook_page.eq(~page),
        ]
        with m.State("CODEBOOK"):
            is_last = address == last_address
            m.d.comb += [
                self.codebook_en.eq(self.i.valid),
                self.i.ready.eq((piece == pieces - 1) | is_last),
            ]
            with m.If(self.i.valid):
                m.d.sync += address.eq(address + 1)
                with m.If(is_last):
                    m.d.sync += [address.eq(0), page.eq(~page)]
                    start_column(layer)

    def _product_states(
        self, m: Module, layer: Shape, columns_left: Signal, in_product: Signal, start_layer: Callable[[], None]
    ) -> None:
        """A marker to the decoder, then the parameters of `n_tiles` columns for each product of the batch."""
        products_left = Signal(16)
        with m.State("PRODUCT"):
            m.d.comb += [in_product.eq(1), self.groups.valid.eq(1), self.groups.payload.is_product.eq(1)]
            m.d.sync += products_left.eq(layer.batch_last)
            with m.If(self.groups.ready):
                m.d.comb += self.begins.eq(1)
                m.next = "FILL"
        with m.State("FILL"):
            m.d.comb += [in_product.eq(1), self.parameters.valid.eq(1), self.parameters.payload.fill.eq(1)]
            with m.If(self.parameters.ready):
                m.d.sync += columns_left.eq(columns_left - 1)
                with m.If(columns_left == 0):
                    m.d.sync += [columns_left.eq(layer.n_tiles - 1), products_left.eq(products_left - 1)]
                    with m.If(products_left == 0):
                        m.d.comb += self.ends.eq(1)
                        start_layer()
