"""Reads activations for the array, tile after tile."""

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig

from .activation_memory import ReadPort
from .checks import require_config
from .descriptor import INDEX_WIDTH
from .matrix_walk import MatrixWalk
from .walk import WalkCommand, lane_count
from .window_walk import WindowWalk

MIN_TILE_CYCLES = 3
"""Enabled cycles from an activation to the same one in the next tile: the accumulator memory's read, add and write."""


class FeedCommand(data.StructLayout):
    """The input side of a matrix descriptor; `index` is the descriptor's place in the job.

    is_product, is_window : it is a PRODUCT, a CONV
    """

    def __init__(self) -> None:
        super().__init__(
            {
                **{name: field.shape for name, field in WalkCommand()},
                "tokens": 16,
                "k_tiles": 16,
                "n_tiles": 16,
                "last_rows": 8,
                "batch_last": 16,
                "early_tiles": 16,
                "padding_value": signed(8),
                "is_product": 1,
                "index": INDEX_WIDTH,
            }
        )


class Token(data.StructLayout):
    """Travels with an activation to the accumulators.

    index : which accumulators its sums belong to
    first, last : first or last tile of a tile column
    opens : the first activation of the last tile of a tile column
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__({"index": range(config.accumulator_depth), "first": 1, "last": 1, "opens": 1})


class Feeder(wiring.Component):
    """Issues one activation per cycle: for every product of a batch, every tile column, every tile, every token.

    A pixel outside the image of a CONV is issued like the others, but not read.

    Latency: 2 enabled cycles from issue to `activation`, 1 to `token`.

    Members
    -------
    commands : `FeedCommand`
    hold : In, no command is taken
    enable : In, the array advances; everything here stands still without it
    row_loaded : In, row 0 of the next tile is in the shadow weights
    read : activation memory
    all_written : In, the outputs of the command before are in the activation memory
    most_written : In, ... all but those of its last tile column
    token : one enabled cycle ahead of its `activation`
    activation : `rows` int8, of a pixel outside the image `padding_value`; rows beyond the layer's input channels are
        zero
    parameters_ready : In, the channel parameters of the column in hand are there
    claim : they are about to be used
    issue, starts_tile : an activation is issued in this cycle, the first of a tile
    begins, ends : ... the first of a command, the last of a command
    busy : a command is in hand
    is_product, index : the command in hand
    wait_weights, wait_accumulator, wait_activation : why no activation is issued in this cycle
    error, error_addr : with `all_written`, the address is outside the activation memory; stays until reset
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "commands": In(stream.Signature(FeedCommand())),
                "hold": In(1),
                "enable": In(1),
                "row_loaded": In(1),
                "read": Out(ReadPort(config)),
                "all_written": In(1),
                "most_written": In(1),
                "issue": Out(1),
                "starts_tile": Out(1),
                "begins": Out(1),
                "ends": Out(1),
                "token": Out(Token(config)),
                "activation": Out(8 * config.rows),
                "parameters_ready": In(1),
                "claim": Out(1),
                "busy": Out(1),
                "is_product": Out(1),
                "index": Out(INDEX_WIDTH),
                "wait_weights": Out(1),
                "wait_accumulator": Out(1),
                "wait_activation": Out(1),
                "error": Out(1),
                "error_addr": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        command = Signal(FeedCommand(), reset_less=True)
        batch = Signal(16)
        n = Signal(16)
        k = Signal(16)
        t = Signal(16)
        m.submodules.walk = walk = (WindowWalk if config.convolution else MatrixWalk)(config=config)
        tile_gap = Signal(range(MIN_TILE_CYCLES))  # cycles in which no tile may start
        pace = Signal(range(config.requantize_groups + 1))  # cycles in which no activation may follow

        # Does the next activation go?
        first_token = t == 0
        last_token = t == command.tokens - 1
        last_k = k == command.k_tiles - 1
        last_n = n == command.n_tiles - 1
        last_product = batch == command.batch_last
        no_weights = first_token & (~self.row_loaded | (last_k & ~self.parameters_ready))
        # Outputs of the command before are needed; only the first column may begin without the last of them.
        early = (n == 0) & (batch == 0) & (k < command.early_tiles)
        written = self.all_written | (self.most_written & early)
        in_range = ~walk.inside | (walk.address < config.activation_depth)
        ready = Signal()  # but for the memory bank
        granted = Signal()
        m.d.comb += [
            self.wait_weights.eq(self.busy & (~self.enable | no_weights)),
            self.wait_accumulator.eq(self.busy & ~self.wait_weights & ((pace != 0) | (first_token & (tile_gap != 0)))),
            ready.eq(self.busy & ~self.wait_weights & ~self.wait_accumulator & written & in_range & ~self.error),
            self.wait_activation.eq(
                self.busy & ~self.wait_weights & ~self.wait_accumulator & (~written | (ready & ~granted))
            ),
            self.read.en.eq(ready & walk.inside),
            self.read.addr.eq(walk.address),
            granted.eq(self.read.ready | ~walk.inside),
            self.issue.eq(ready & granted),
            self.starts_tile.eq(self.issue & first_token),
            self.claim.eq(self.starts_tile & last_k),
            self.begins.eq(self.starts_tile & (k == 0) & (n == 0) & (batch == 0)),
            self.ends.eq(self.issue & last_token & last_k & last_n & last_product),
            self.commands.ready.eq(~self.busy & ~self.hold),
            self.is_product.eq(command.is_product),
            self.index.eq(command.index),
        ]
        with m.If(self.busy & self.all_written & ~in_range):  # the command before may have an error of its own
            m.d.sync += [self.error.eq(1), self.error_addr.eq(walk.address)]

        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += [command.eq(self.commands.payload), self.busy.eq(1)]
            m.d.sync += [batch.eq(0), n.eq(0), k.eq(0), t.eq(0)]
        with m.Elif(self.ends):
            m.d.sync += self.busy.eq(0)
        with m.If(self.issue):
            m.d.sync += t.eq(t + 1)
            with m.If(last_token):
                m.d.sync += [t.eq(0), k.eq(k + 1)]
                with m.If(last_k):
                    m.d.sync += [k.eq(0), n.eq(n + 1)]
                    with m.If(last_n):
                        m.d.sync += [n.eq(0), batch.eq(batch + 1)]
        for counter in (tile_gap, pace):
            with m.If((counter != 0) & self.enable):
                m.d.sync += counter.eq(counter - 1)
        # Activations of a tile may come apart, when reads are denied: the gap counts from the last one.
        with m.If(self.issue & last_token):
            m.d.sync += tile_gap.eq(Mux(command.tokens < MIN_TILE_CYCLES, MIN_TILE_CYCLES - command.tokens, 0))
        with m.If(self.issue & last_k):  # final sums are requantized in passes
            m.d.sync += pace.eq(config.requantize_groups - 1)
        m.d.comb += [
            walk.start.eq(self.commands.valid & self.commands.ready),
            *(walk.command[name].eq(self.commands.payload[name]) for name, _ in WalkCommand()),
            walk.advance.eq(self.issue),
            walk.last_token.eq(last_token),
            walk.last_tile.eq(last_k),
            walk.last_column.eq(last_n),
        ]

        # Memory stage.
        lane_read = Signal.like(walk.lane, reset_less=True)
        ragged = Signal(reset_less=True)
        blank = Signal(reset_less=True)
        padding_value = Signal(8, reset_less=True)
        last_rows = Signal(8, reset_less=True)  # stays with the stage when the next command arrives
        valid = Signal()
        with m.If(self.enable):
            m.d.sync += [
                valid.eq(self.issue),
                self.token.index.eq(t),
                self.token.first.eq(k == 0),
                self.token.last.eq(last_k),
                self.token.opens.eq(last_k & first_token),
                lane_read.eq(walk.lane),
                ragged.eq(walk.last_channels),
                last_rows.eq(command.last_rows),
                blank.eq(~walk.inside),
                padding_value.eq(command.padding_value),
            ]

        # Activation register, which belongs to the array's first row.
        word = self._held(m, lane_read)
        with m.If(self.enable & valid):
            for row in range(config.rows):
                used = ~ragged | (row < last_rows)
                channel = word.word_select(row, 8)
                if config.convolution:
                    channel = Mux(blank, padding_value, channel)
                m.d.sync += self.activation.word_select(row, 8).eq(channel & used.replicate(8))
        return m

    def _held(self, m: Module, lane: Signal) -> Value:
        """The tile's part of the word that was read last; the memory shows it for one cycle, the array may stand."""
        width = 8 * self._config.rows
        word = self.read.data.word_select(lane, width) if lane_count(self._config) > 1 else self.read.data
        arrives = Signal()
        held = Signal()
        kept = Signal(width, reset_less=True)
        m.d.sync += arrives.eq(self.issue)
        with m.If(self.enable):
            m.d.sync += held.eq(0)
        with m.Elif(arrives):
            m.d.sync += [held.eq(1), kept.eq(word)]
        return Mux(held, kept, word)
