"""Takes a layer's weight stream apart: codebook, channel parameters, index planes and sign words."""

from collections.abc import Callable

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_gen.format import parameter_words_per_pass

from .bus import TAG_WIDTH, StreamWord
from .checks import require_config


class LayerShape(data.StructLayout):
    """What the unpacker has to know of a layer, as in its descriptor."""

    def __init__(self) -> None:
        super().__init__(
            {"weight_format": WeightFormat, "index_width": 4, "vector_dim_log2": 3, "k_tiles": 16, "n_tiles": 16}
        )


class Group(data.StructLayout):
    """The index planes of one group of decode steps. Plane p holds bit p of every index."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "planes": data.ArrayLayout(config.stream_width, config.plane_count),
                "steps": 6,
                "weight_format": WeightFormat,
                "index_width": 4,
                "vector_dim_log2": 3,
            }
        )


class Unpacker(wiring.Component):
    """Sends every word of a weight stream where it belongs, in the order of `ssvq_gen.format.StreamFormat`.

    One stream word is taken per cycle, except in the codebook, whose 32-bit words are written one per cycle. Index
    planes are collected in a shift register, most significant plane first, and handed over together with the last
    one: latency 0 cycles from the last plane to `groups`, and to `signs` and `parameters`.

    Members
    -------
    commands : one `LayerShape` for each layer, in the order of the streams
    i : `StreamWord`
    codebook_en, codebook_addr, codebook_data : write port of the codebook
    parameters : stream words of channel parameters
    groups : index planes; accepted when the steps of the group before are issued
    signs : one word for each SSVQ step
    decoding : In, steps of an earlier layer are still reading the codebook
    busy : a layer is in hand
    error, error_tag : the stream of descriptor `error_tag` is longer or shorter than its layer; stays until reset
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "commands": In(stream.Signature(LayerShape())),
                "i": In(stream.Signature(StreamWord(config.stream_width))),
                "codebook_en": Out(1),
                "codebook_addr": Out(range(config.codebook_depth)),
                "codebook_data": Out(32),
                "parameters": Out(stream.Signature(config.stream_width)),
                "groups": Out(stream.Signature(Group(config))),
                "signs": Out(stream.Signature(config.stream_width)),
                "decoding": In(1),
                "busy": Out(1),
                "error": Out(1),
                "error_tag": Out(TAG_WIDTH),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        parameter_words = parameter_words_per_pass(config) * config.requantize_groups
        steps_per_tile_log2 = config.steps_per_tile.bit_length() - 1
        padding_words = config.stream_alignment // config.stream_bytes

        layer = Signal(LayerShape())
        columns_left = Signal(16)
        steps_left = Signal(16 + steps_per_tile_log2)
        words_left = Signal(range(max(parameter_words, padding_words, 32) + 1))
        planes_left = Signal(4)
        planes = Signal(data.ArrayLayout(config.stream_width, config.plane_count), reset_less=True)
        took = Signal()  # a stream word is consumed in this cycle
        ends_layer = Signal()  # ... and the layer needs no other
        in_padding = Signal()
        m.d.comb += took.eq(self.i.valid & self.i.ready)

        # A group has vector_dim steps, and fewer at the end of a tile column.
        group_steps = Signal(6)
        full_group = 1 << layer.vector_dim_log2
        m.d.comb += group_steps.eq(Mux(steps_left < full_group, steps_left, full_group))

        m.d.comb += [
            self.parameters.payload.eq(self.i.payload.data),
            self.signs.payload.eq(self.i.payload.data),
            self.groups.payload.planes.eq(Cat(self.i.payload.data, planes)),
            self.groups.payload.steps.eq(group_steps),
            self.groups.payload.weight_format.eq(layer.weight_format),
            self.groups.payload.index_width.eq(layer.index_width),
            self.groups.payload.vector_dim_log2.eq(layer.vector_dim_log2),
        ]

        def start_column() -> None:
            m.d.sync += [steps_left.eq(layer.k_tiles << steps_per_tile_log2), words_left.eq(parameter_words)]
            m.next = "PARAMETERS"

        def start_group() -> None:
            m.d.sync += [planes_left.eq(layer.index_width), planes.eq(0)]
            m.next = "PLANES"

        def end_group(steps_after: Value) -> None:
            with m.If(steps_after != 0):
                start_group()
            with m.Elif(columns_left != 0):
                m.d.sync += columns_left.eq(columns_left - 1)
                start_column()
            with m.Else():
                m.d.comb += ends_layer.eq(1)
                m.d.sync += words_left.eq(padding_words - 1)
                with m.If(self.i.payload.last):
                    m.next = "IDLE"
                with m.Else():
                    m.next = "PADDING"

        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.comb += self.commands.ready.eq(1)
                m.d.sync += [layer.eq(self.commands.payload), columns_left.eq(self.commands.payload.n_tiles - 1)]
                with m.If(self.commands.valid):
                    m.next = "LAYER"
            with m.State("LAYER"):
                is_dense = (layer.weight_format == WeightFormat.INT8) | (not config.has_codebook)
                with m.If(is_dense):
                    start_column()
                # The codebook in use is not overwritten before the last step has read it.
                with m.Elif(~self.decoding):
                    m.next = "CODEBOOK"
            self._codebook_state(m, layer, start_column)
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
                        m.next = "IDLE"

        # The word that ends a layer is the last of its stream, but for padding; no other word is the last.
        early = took & self.i.payload.last & ~ends_layer & ~in_padding
        late = in_padding & (words_left == 0)
        with m.If((early | late) & ~self.error):
            m.d.sync += self.error.eq(1)
        with m.If(took & ~self.error):
            m.d.sync += self.error_tag.eq(self.i.payload.tag)
        return m

    def _codebook_state(self, m: Module, layer: "data.View[LayerShape]", start_column: Callable[[], None]) -> None:
        """Write the codebook, four int8 a cycle; a stream word is released with its last piece."""
        pieces = self._config.stream_width // 32
        address = Signal(range(self._config.codebook_depth))
        last_address = Signal.like(address)
        slices_log2 = Mux(layer.vector_dim_log2 > 2, layer.vector_dim_log2 - 2, 0)
        words_log2 = Signal(4)
        m.d.comb += [words_log2.eq(layer.index_width + slices_log2), last_address.eq((1 << words_log2) - 1)]
        piece = address[: pieces.bit_length() - 1]
        m.d.comb += [
            self.codebook_addr.eq(address),
            self.codebook_data.eq(self.i.payload.data.word_select(piece, 32)),
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
                    m.d.sync += address.eq(0)
                    start_column()
