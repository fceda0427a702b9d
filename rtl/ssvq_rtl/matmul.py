"""The matrix product: everything between the weight stream and the activation memory."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from ssvq_gen.config import CoreConfig

from .accumulator import AccumulatorMemory
from .activation_memory import ReadPort, WritePort
from .array import MacArray
from .array_timing import array_latency
from .bus import StreamWord
from .checks import require_config
from .decoder import DecodedStep, Decoder
from .descriptor import INDEX_WIDTH
from .feeder import FeedCommand, Feeder, Token
from .input_delay import input_delayed
from .layer_shape import LayerShape
from .operand import OperandLoader
from .operand_words import OperandCommand
from .scoreboard import Scoreboard
from .unpacker import Unpacker
from .writeback import Writeback, WritebackCommand


class MatmulStatus(data.StructLayout):
    """What the engine does in a cycle, for counters and records.

    issuing : an activation enters the array
    wait_weights, wait_operand, wait_activation : why none enters; the weights of a PRODUCT are its operand
    wait_array : ... sums are still to be stored or requantized, or the rows of the next weights to be swapped
    rows_in_use : decoded weights are for rows whose last ones are not swapped
    unpacks_begin, unpacks_end : the stream of descriptor `unpacks_index` begins and has ended
    feeds_begin, feeds_end : first and last activation of `feeds_index`
    drains_begin : first outputs of `drains_index`
    ends : all outputs of `ends_index` are in the activation memory
    """

    def __init__(self) -> None:
        flags = ("issuing", "wait_weights", "wait_operand", "wait_activation", "wait_array", "rows_in_use")
        events = ("unpacks_begin", "unpacks_end", "feeds_begin", "feeds_end", "drains_begin", "ends")
        indices = ("unpacks_index", "feeds_index", "drains_index", "ends_index")
        super().__init__({**dict.fromkeys(flags + events, 1), **dict.fromkeys(indices, INDEX_WIDTH)})


class MatmulEngine(wiring.Component):
    """Unpacker, decoder, operand loader, array, accumulators, requantizer and the address generators around them.

    The commands of a descriptor are given together. It holds two descriptors: while the last sums of one come out of
    the array, the activations of the next may be fed.

    Members
    -------
    layers : to the unpacker, ahead of time
    weights : weight stream, ahead of time
    feed_commands, writeback_commands : the two sides of a matrix descriptor
    operand_commands : the weights of a PRODUCT
    hold : In, the feeder takes no command
    operand_read, read, write : activation memory
    unpacking, streaming : a layer is with the unpacker, and its words are taken from the weight stream
    progress : something moved, for the watchdog
    status : `MatmulStatus`
    stream_error, stream_tag : a weight stream does not match its layer
    range_error, range_index, range_addr : a descriptor leads to an address outside the activation memory
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "layers": In(stream.Signature(LayerShape())),
                "weights": In(stream.Signature(StreamWord(config.stream_width))),
                "feed_commands": In(stream.Signature(FeedCommand())),
                "writeback_commands": In(stream.Signature(WritebackCommand())),
                "operand_commands": In(stream.Signature(OperandCommand())),
                "hold": In(1),
                "operand_read": Out(ReadPort(config)),
                "read": Out(ReadPort(config)),
                "write": Out(WritePort(config)),
                "unpacking": Out(1),
                "streaming": Out(1),
                "progress": Out(1),
                "status": Out(MatmulStatus()),
                "stream_error": Out(1),
                "stream_tag": Out(INDEX_WIDTH),
                "range_error": Out(1),
                "range_index": Out(INDEX_WIDTH),
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
        all_written, most_written = self._written(m, feeder, writeback)

        # Weights: stream or activation memory to shadow rows.
        connect(m, wiring.flipped(self.layers), unpacker.commands)
        connect(m, wiring.flipped(self.weights), unpacker.i)
        connect(m, unpacker.groups, decoder.groups)
        connect(m, unpacker.signs, decoder.signs)
        connect(m, unpacker.parameters, writeback.parameters)
        m.d.comb += [
            decoder.codebook_en.eq(unpacker.codebook_en),
            decoder.codebook_addr.eq(unpacker.codebook_addr),
            decoder.codebook_data.eq(unpacker.codebook_data),
        ]
        step = decoder.o
        if config.attention:
            loader = self._operand_loader(m, decoder, all_written, most_written)
            step = self._chosen(m, decoder.product_turn, loader.o, decoder.o)
            with m.If(loader.error):
                m.d.comb += self.range_addr.eq(loader.error_addr)
        m.d.comb += [
            scoreboard.step_valid.eq(step.valid),
            scoreboard.step_row_block.eq(step.payload.row_block),
            scoreboard.step_completes.eq(step.payload.completes_rows),
            step.ready.eq(scoreboard.step_ready),
            array.step_valid.eq(step.valid & scoreboard.step_ready),
            array.step.eq(step.payload),
        ]

        # Activations: memory to array.
        connect(m, wiring.flipped(self.feed_commands), feeder.commands)
        connect(m, feeder.read, wiring.flipped(self.read))
        m.d.comb += [
            feeder.hold.eq(self.hold),
            feeder.enable.eq(scoreboard.enable),
            feeder.row_loaded.eq(scoreboard.first_row_loaded),
            feeder.all_written.eq(all_written),
            feeder.most_written.eq(most_written),
            scoreboard.swap_next.eq(feeder.starts_tile),
            scoreboard.valid_next.eq(feeder.issue),
            array.enable.eq(scoreboard.enable),
            array.valids.eq(scoreboard.valids),
            array.swaps.eq(scoreboard.swaps),
            array.activation.eq(feeder.activation),
        ]

        # Sums: array to accumulators to memory.
        connect(m, wiring.flipped(self.writeback_commands), writeback.commands)
        connect(m, writeback.write, wiring.flipped(self.write))
        token = self._delayed(m, feeder.token, scoreboard.enable)
        m.d.comb += [
            accumulator.enable.eq(input_delayed(m, scoreboard.enable, config, "sums_enable")),
            accumulator.valid.eq(input_delayed(m, scoreboard.valids[-1], config, "sums_valid")),
            accumulator.token.eq(input_delayed(m, token, config, "sums_token")),
            accumulator.sums.eq(array.sums),
            writeback.opens.eq(accumulator.opens),
            writeback.valid.eq(accumulator.final),
            writeback.sums.eq(accumulator.total),
            writeback.claim.eq(feeder.claim),
            feeder.parameters_ready.eq(writeback.parameters_ready),
        ]

        m.d.comb += [
            self.unpacking.eq(unpacker.busy),
            self.streaming.eq(unpacker.streaming),
            self.progress.eq(feeder.issue | writeback.write.en | unpacker.codebook_en | array.step_valid),
            self.stream_error.eq(unpacker.error),
            self.stream_tag.eq(unpacker.error_tag),
        ]
        self._report(m, unpacker, feeder, writeback, step.valid & ~step.ready)
        return m

    def _written(self, m: Module, feeder: Feeder, writeback: Writeback) -> tuple[Signal, Signal]:
        """Whether the outputs of the descriptor before the newest one are in the activation memory, or most of them."""
        taken = self.writeback_commands.valid & self.writeback_commands.ready
        opened = Signal(2)  # descriptors whose outputs are not complete
        most = Signal()
        m.d.sync += opened.eq(opened + taken - writeback.ends)
        with m.If(taken):
            m.d.sync += most.eq(0)
        with m.Elif(writeback.in_last_column):
            m.d.sync += most.eq(1)
        all_written = Signal()
        m.d.comb += all_written.eq(opened <= 1)
        return all_written, most

    def _operand_loader(self, m: Module, decoder: Decoder, all_written: Signal, most_written: Signal) -> OperandLoader:
        m.submodules.operand_loader = loader = OperandLoader(config=self._config)
        connect(m, wiring.flipped(self.operand_commands), loader.commands)
        connect(m, loader.read, wiring.flipped(self.operand_read))
        # With few tokens, the array may be fed with the next descriptor while the last rows of a PRODUCT are loaded.
        # That one was only taken because all before the PRODUCT was complete.
        overtaken = Signal()
        index = Signal(INDEX_WIDTH, reset_less=True)
        with m.If(self.operand_commands.valid & self.operand_commands.ready):
            m.d.sync += [overtaken.eq(0), index.eq(self.feed_commands.payload.index)]
        with m.Elif(self.writeback_commands.valid & self.writeback_commands.ready):
            m.d.sync += overtaken.eq(1)
        m.d.comb += [
            loader.turn.eq(decoder.product_turn),
            decoder.product_done.eq(loader.done),
            loader.all_written.eq(all_written | overtaken),
            loader.most_written.eq(most_written),
            self.range_error.eq(loader.error),
            self.range_index.eq(index),
        ]
        return loader

    def _chosen(self, m: Module, turn: Signal, one: stream.Interface, other: stream.Interface) -> stream.Interface:
        """Steps of `one` in its `turn`, else those of `other`, which has none then."""
        chosen = stream.Signature(DecodedStep(self._config)).create()
        m.d.comb += [
            chosen.valid.eq(Mux(turn, one.valid, other.valid)),
            chosen.payload.eq(Mux(turn, one.payload.as_value(), other.payload.as_value())),
            one.ready.eq(turn & chosen.ready),
            other.ready.eq(~turn & chosen.ready),
        ]
        return chosen

    def _report(self, m: Module, unpacker: Unpacker, feeder: Feeder, writeback: Writeback, rows_in_use: Value) -> None:
        """Status, and the errors of feeder and writeback; a PRODUCT's operand has its error set already."""
        status = self.status
        no_weights = feeder.wait_weights & ~rows_in_use
        m.d.comb += [
            status.issuing.eq(feeder.issue),
            status.wait_weights.eq(no_weights & ~feeder.is_product),
            status.wait_operand.eq(no_weights & feeder.is_product),
            status.wait_array.eq(feeder.wait_accumulator | (feeder.wait_weights & rows_in_use)),
            status.wait_activation.eq(feeder.wait_activation),
            status.rows_in_use.eq(rows_in_use),
            status.unpacks_begin.eq(unpacker.begins),
            status.unpacks_end.eq(unpacker.ends),
            status.unpacks_index.eq(unpacker.index),
            status.feeds_begin.eq(feeder.begins),
            status.feeds_end.eq(feeder.ends),
            status.feeds_index.eq(feeder.index),
            status.drains_begin.eq(writeback.begins),
            status.drains_index.eq(writeback.index),
            status.ends.eq(writeback.ends),
            status.ends_index.eq(writeback.ends_index),
        ]
        for error, index, addr in (
            (writeback.error, writeback.error_index, writeback.error_addr),
            (feeder.error, feeder.index, feeder.error_addr),
        ):
            with m.If(error):
                m.d.comb += [self.range_error.eq(1), self.range_index.eq(index), self.range_addr.eq(addr)]

    def _delayed(self, m: Module, token: "data.View[Token]", enable: Signal) -> Signal:
        """The token of an activation when the sums of its last row are added."""
        width = Token(self._config).size
        stages = array_latency(self._config)
        line = Signal(width * stages, reset_less=True, name="tokens")
        with m.If(enable):
            m.d.sync += line.eq((line << width) | token.as_value())
        return line[width * (stages - 1) :]
