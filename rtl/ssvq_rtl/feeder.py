"""Reads activations for the array, tile after tile."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig

from .checks import require_config

MIN_TILE_CYCLES = 3
"""Cycles between tiles: the accumulator memory's read, add and write of one activation."""


class FeedCommand(data.StructLayout):
    """The input side of a MATMUL, as in its descriptor."""

    def __init__(self) -> None:
        super().__init__({"source": 32, "tokens": 16, "k_tiles": 16, "n_tiles": 16, "input_stride": 16, "last_rows": 8})


class Token(data.StructLayout):
    """Travels with an activation to the accumulators.

    index : which accumulators its sums belong to
    first, last : first or last tile along the input channels
    opens : the first activation of the last tile along the input channels
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__({"index": range(config.accumulator_depth), "first": 1, "last": 1, "opens": 1})


class Feeder(wiring.Component):
    """Issues one activation per cycle: for every tile column, for every tile, for every token.

    Latency: 2 enabled cycles from issue to `activation`, 1 to `token`.

    Members
    -------
    commands : `FeedCommand`
    enable : In, the array advances; everything here stands still without it
    row_loaded : In, row 0 of the next tile is in the shadow weights
    read_en, read_addr, read_data : activation memory
    token : one enabled cycle ahead of its `activation`
    activation : `rows` int8; rows beyond the layer's input channels are zero
    parameters_ready : In, the channel parameters of the column in hand are there
    claim : they are about to be used
    issue, starts_tile : an activation is issued in this cycle, the first of a tile
    busy : a command is in hand
    wait_weights, wait_accumulator : why no activation is issued in this cycle
    error, error_addr : the address is outside the activation memory; stays until reset
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "commands": In(stream.Signature(FeedCommand())),
                "enable": In(1),
                "row_loaded": In(1),
                "read_en": Out(1),
                "read_addr": Out(range(config.activation_depth)),
                "read_data": In(8 * config.word_bytes),
                "issue": Out(1),
                "starts_tile": Out(1),
                "token": Out(Token(config)),
                "activation": Out(8 * config.rows),
                "parameters_ready": In(1),
                "claim": Out(1),
                "busy": Out(1),
                "wait_weights": Out(1),
                "wait_accumulator": Out(1),
                "error": Out(1),
                "error_addr": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        lane_count = config.word_bytes // config.rows
        lane_width = lane_count.bit_length() - 1

        command = Signal(FeedCommand(), reset_less=True)
        k = Signal(16)
        n = Signal(16)
        t = Signal(16)
        address = Signal(33)
        tile_address = Signal(33)  # of the tile's first activation
        tile_gap = Signal(range(MIN_TILE_CYCLES))  # cycles in which no tile may start
        pace = Signal(range(config.requantize_groups + 1))  # cycles in which no activation may follow

        # Does the next activation go?
        first_token = t == 0
        last_token = t == command.tokens - 1
        last_k = k == command.k_tiles - 1
        last_n = n == command.n_tiles - 1
        no_weights = first_token & (~self.row_loaded | (last_k & ~self.parameters_ready))
        in_range = address < config.activation_depth
        m.d.comb += [
            self.wait_weights.eq(self.busy & (~self.enable | no_weights)),
            self.wait_accumulator.eq(self.busy & ~self.wait_weights & ((pace != 0) | (first_token & (tile_gap != 0)))),
            self.issue.eq(self.busy & ~self.wait_weights & ~self.wait_accumulator & in_range & ~self.error),
            self.starts_tile.eq(self.issue & first_token),
            self.claim.eq(self.starts_tile & last_k),
            self.commands.ready.eq(~self.busy),
            self.read_en.eq(self.issue),
            self.read_addr.eq(address),
        ]
        with m.If(self.busy & ~in_range):
            m.d.sync += [self.error.eq(1), self.error_addr.eq(address)]

        lane = k[:lane_width]
        next_tile = Signal.like(tile_address)
        m.d.comb += next_tile.eq(Mux(last_k, command.source, tile_address + (lane == lane_count - 1)))

        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += [
                command.eq(self.commands.payload),
                address.eq(self.commands.payload.source),
                tile_address.eq(self.commands.payload.source),
                self.busy.eq(1),
                k.eq(0),
                n.eq(0),
                t.eq(0),
            ]
        for counter in (tile_gap, pace):
            with m.If((counter != 0) & self.enable):
                m.d.sync += counter.eq(counter - 1)
        with m.If(self.issue):
            with m.If(first_token):
                m.d.sync += tile_gap.eq(MIN_TILE_CYCLES - 1)
            # Final sums are requantized in passes.
            with m.If(last_k):
                m.d.sync += pace.eq(config.requantize_groups - 1)
            m.d.sync += [t.eq(t + 1), address.eq(address + command.input_stride)]
            with m.If(last_token):
                m.d.sync += [t.eq(0), k.eq(k + 1), address.eq(next_tile), tile_address.eq(next_tile)]
                with m.If(last_k):
                    m.d.sync += [k.eq(0), n.eq(n + 1)]
                    with m.If(last_n):
                        m.d.sync += self.busy.eq(0)

        # Memory stage.
        valid = Signal()
        lane_read = Signal(max(lane_width, 1), reset_less=True)
        ragged = Signal(reset_less=True)
        last_rows = Signal(8, reset_less=True)  # stays with the stage when the next command arrives
        with m.If(self.enable):
            m.d.sync += [
                valid.eq(self.issue),
                self.token.index.eq(t),
                self.token.first.eq(k == 0),
                self.token.last.eq(last_k),
                self.token.opens.eq(last_k & first_token),
                lane_read.eq(lane),
                ragged.eq(last_k),
                last_rows.eq(command.last_rows),
            ]

        # Activation register, which belongs to the array's first row.
        rows_used = Signal(config.rows)
        m.d.comb += rows_used.eq(Cat(~ragged | (row < last_rows) for row in range(config.rows)))
        word = Signal(8 * config.rows)
        m.d.comb += word.eq(
            self.read_data.word_select(lane_read, 8 * config.rows) if lane_count > 1 else self.read_data
        )
        with m.If(self.enable & valid):
            for row in range(config.rows):
                m.d.sync += self.activation.word_select(row, 8).eq(
                    word.word_select(row, 8) & rows_used[row].replicate(8)
                )
        return m
