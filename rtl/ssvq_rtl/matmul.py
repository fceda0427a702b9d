"""The matrix product: everything between the weight stream and the activation memory."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from ssvq_gen.config import CoreConfig

from .accumulator import AccumulatorMemory
from .array import MacArray
from .bus import StreamWord
from .checks import require_config
from .decoder import Decoder
from .feeder import FeedCommand, Feeder, Token
from .scoreboard import Scoreboard
from .unpacker import LayerShape, Unpacker
from .writeback import Writeback, WritebackCommand


class MatmulEngine(wiring.Component):
    """Unpacker, decoder, array, accumulators, requantizer and the address generators around them.

    Members
    -------
    layers : to the unpacker, ahead of time
    weights : weight stream, ahead of time
    feed_commands, writeback_commands : the two sides of one MATMUL, given together
    read_*, write_* : activation memory
    busy : outputs are to be written
    unpacking : a weight stream is being taken apart
    progress : something moved, for the watchdog
    issuing, wait_weights, wait_accumulator, feeding : state, for the counters
    stream_error, stream_tag : a weight stream does not match its layer
    range_error, range_addr : an address outside the activation memory
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        width = 8 * config.word_bytes
        super().__init__(
            {
                "layers": In(stream.Signature(LayerShape())),
                "weights": In(stream.Signature(StreamWord(config.stream_width))),
                "feed_commands": In(stream.Signature(FeedCommand())),
                "writeback_commands": In(stream.Signature(WritebackCommand())),
                "read_en": Out(1),
                "read_addr": Out(range(config.activation_depth)),
                "read_data": In(width),
                "write_en": Out(1),
                "write_addr": Out(range(config.activation_depth)),
                "write_data": Out(width),
                "write_mask": Out(config.word_bytes // config.requantize_lanes),
                "busy": Out(1),
                "unpacking": Out(1),
                "progress": Out(1),
                "feeding": Out(1),
                "issuing": Out(1),
                "wait_weights": Out(1),
                "wait_accumulator": Out(1),
                "stream_error": Out(1),
                "stream_tag": Out(16),
                "range_error": Out(1),
                "range_addr": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.unpacker = unpacker = Unpacker(config=config)
        m.submodules.decoder = decoder = Decoder(config=config)
        m.submodules.scoreboard = scoreboard = Scoreboard(config=config)
        m.submodules.feeder = feeder = Feeder(config=config)
        m.submodules.array = array = MacArray(config=config)
        m.submodules.accumulator = accumulator = AccumulatorMemory(config=config)
        m.submodules.writeback = writeback = Writeback(config=config)

        # Weights: stream to shadow rows.
        connect(m, wiring.flipped(self.layers), unpacker.commands)
        connect(m, wiring.flipped(self.weights), unpacker.i)
        connect(m, unpacker.groups, decoder.groups)
        connect(m, unpacker.signs, decoder.signs)
        connect(m, unpacker.parameters, writeback.parameters)
        m.d.comb += [
            decoder.codebook_en.eq(unpacker.codebook_en),
            decoder.codebook_addr.eq(unpacker.codebook_addr),
            decoder.codebook_data.eq(unpacker.codebook_data),
            scoreboard.step_valid.eq(decoder.o.valid),
            scoreboard.step_row_block.eq(decoder.o.payload.row_block),
            scoreboard.step_completes.eq(decoder.o.payload.completes_rows),
            decoder.o.ready.eq(scoreboard.step_ready),
            array.step_valid.eq(decoder.o.valid & scoreboard.step_ready),
            array.step.eq(decoder.o.payload),
        ]

        # Activations: memory to array.
        connect(m, wiring.flipped(self.feed_commands), feeder.commands)
        m.d.comb += [
            feeder.enable.eq(scoreboard.enable),
            feeder.row_loaded.eq(scoreboard.first_row_loaded),
            feeder.read_data.eq(self.read_data),
            self.read_en.eq(feeder.read_en),
            self.read_addr.eq(feeder.read_addr),
            scoreboard.swap_next.eq(feeder.starts_tile),
            scoreboard.valid_next.eq(feeder.issue),
            array.enable.eq(scoreboard.enable),
            array.valid_rows.eq(scoreboard.valid_rows),
            array.swap_rows.eq(scoreboard.swap_rows),
            array.activation.eq(feeder.activation),
        ]

        # Sums: array to accumulators to memory.
        connect(m, wiring.flipped(self.writeback_commands), writeback.commands)
        m.d.comb += [
            accumulator.enable.eq(scoreboard.enable),
            accumulator.valid.eq(scoreboard.valid_rows[-1]),
            accumulator.token.eq(self._delayed(m, feeder.token, scoreboard.enable)),
            accumulator.sums.eq(array.sums),
            writeback.opens.eq(accumulator.opens),
            writeback.valid.eq(accumulator.final),
            writeback.sums.eq(accumulator.total),
            writeback.claim.eq(feeder.claim),
            feeder.parameters_ready.eq(writeback.parameters_ready),
            self.write_en.eq(writeback.write_en),
            self.write_addr.eq(writeback.write_addr),
            self.write_data.eq(writeback.write_data),
            self.write_mask.eq(writeback.write_mask),
        ]

        m.d.comb += [
            self.busy.eq(writeback.busy),
            self.unpacking.eq(unpacker.busy),
            self.progress.eq(feeder.issue | writeback.write_en | decoder.codebook_en),
            self.feeding.eq(feeder.busy),
            self.issuing.eq(feeder.issue),
            self.wait_weights.eq(feeder.wait_weights),
            self.wait_accumulator.eq(feeder.wait_accumulator),
            self.stream_error.eq(unpacker.error),
            self.stream_tag.eq(unpacker.error_tag),
            self.range_error.eq(feeder.error | writeback.error),
        ]
        with m.If(feeder.error):
            m.d.comb += self.range_addr.eq(feeder.error_addr)
        with m.Else():
            m.d.comb += self.range_addr.eq(writeback.error_addr)
        return m

    def _delayed(self, m: Module, token: "data.View[Token]", enable: Signal) -> Signal:
        """The token of an activation when the sums of its last row are added."""
        width = Token(self._config).size
        stages = MacArray.latency(self._config)
        line = Signal(width * stages, reset_less=True, name="tokens")
        with m.If(enable):
            m.d.sync += line.eq((line << width) | token.as_value())
        return line[width * (stages - 1) :]
