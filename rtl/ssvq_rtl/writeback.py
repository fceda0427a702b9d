"""Requantizes the sums of a tile column as they are completed and writes them to the activation memory."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from ssvq_gen.arithmetic import ACCUMULATOR_WIDTH
from ssvq_gen.config import CoreConfig
from ssvq_gen.stream_format import CHANNEL_PARAMETER_WIDTH

from .activation_memory import WritePort
from .checks import require_config
from .descriptor import INDEX_WIDTH
from .parameters import ParameterCollector, ParameterWord
from .requantizer import Requantizer


class WritebackCommand(data.StructLayout):
    """The output side of a matrix descriptor, as in its descriptor; `index` is the descriptor's place in the job."""

    def __init__(self) -> None:
        super().__init__(
            {
                "destination": 32,
                "tokens": 16,
                "n_tiles": 16,
                "output_stride": 16,
                "batch_last": 16,
                "output_batch_stride": 16,
                "zero_point": signed(8),
                "clamp_min": signed(8),
                "clamp_max": signed(8),
                "index": INDEX_WIDTH,
            }
        )


class Writeback(wiring.Component):
    """Takes the sums of one activation every `requantize_groups` cycles, in passes of `requantize_lanes` channels.

    Latency: `LATENCY` cycles from a pass to its write. A command waits behind the one whose sums come in and takes
    over with the next cycle. The channel parameters of the next tile column are collected while a column runs; the
    feeder claims them before it starts the tile whose sums are final.

    Members
    -------
    commands : `WritebackCommand`; the next one is accepted while one is worked on
    parameters : `ParameterWord`
    parameters_ready : those of the next column are there
    claim : In, the last tile of a column starts, it will use them
    opens : In, the first final sums of a column come with the next cycle
    valid, sums : In, `cols` int32, held for `requantize_groups` cycles
    write : activation memory
    begins : the first sums of a command came in
    ends : the last output of a command was written with the cycle before
    index : of the command whose sums come in
    ends_index : of the command that `ends`
    in_last_column : of the command whose sums come in, all tile columns but the last are written
    error, error_index, error_addr : the address is outside the activation memory; stays until reset
    """

    LATENCY = Requantizer.LATENCY

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "commands": In(stream.Signature(WritebackCommand())),
                "parameters": In(stream.Signature(ParameterWord(config))),
                "parameters_ready": Out(1),
                "claim": In(1),
                "opens": In(1),
                "valid": In(1),
                "sums": In(config.cols * ACCUMULATOR_WIDTH),
                "write": Out(WritePort(config)),
                "begins": Out(1),
                "ends": Out(1),
                "index": Out(INDEX_WIDTH),
                "ends_index": Out(INDEX_WIDTH),
                "in_last_column": Out(1),
                "error": Out(1),
                "error_index": Out(INDEX_WIDTH),
                "error_addr": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        passes = config.requantize_groups
        slots = config.word_bytes // config.requantize_lanes  # passes that fill a memory word
        parts = config.requantize_lanes // config.write_lanes  # of the mask, in a pass

        upcoming = Signal(WritebackCommand(), reset_less=True)
        waits = Signal()  # `upcoming` holds a command
        command = Signal(WritebackCommand(), reset_less=True)
        walking = Signal()
        first = Signal()
        batch = Signal(16)
        n = Signal(16)
        t = Signal(16)
        run = Signal(range(max(passes, 2)))  # pass in this cycle; 0 waits for `valid`

        runs = Signal()
        last_run = run == passes - 1
        last_token = t == command.tokens - 1
        last_n = n == command.n_tiles - 1
        last_column = last_n & (batch == command.batch_last)
        finishes = Signal()
        takes = Signal()
        m.d.comb += [
            self.commands.ready.eq(~waits),
            runs.eq(walking & (self.valid | (run != 0))),
            finishes.eq(runs & last_run & last_token & last_column),
            takes.eq(waits & (~walking | finishes)),
            self.begins.eq(runs & first),
            self.index.eq(command.index),
        ]
        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += [upcoming.eq(self.commands.payload), waits.eq(1)]
        with m.If(runs):
            m.d.sync += [run.eq(Mux(last_run, 0, run + 1)), first.eq(0)]
        with m.If(runs & last_run):
            m.d.sync += t.eq(t + 1)
            with m.If(last_token):
                m.d.sync += [t.eq(0), n.eq(n + 1)]
                with m.If(last_n):
                    m.d.sync += [n.eq(0), batch.eq(batch + 1)]
        with m.If(takes):
            m.d.sync += [command.eq(upcoming), waits.eq(0), walking.eq(1), first.eq(1), batch.eq(0), n.eq(0), t.eq(0)]
        with m.Elif(finishes):
            m.d.sync += walking.eq(0)
        here = self._place(m, command, upcoming.destination, takes, runs & last_run, last_token, last_n)
        address = here.addr
        in_range = address < config.activation_depth
        with m.If(runs & ~in_range & ~self.error):
            m.d.sync += [self.error.eq(1), self.error_index.eq(command.index), self.error_addr.eq(address)]

        # Requantize; where the outputs go travels along.
        m.submodules.requantizer = requantizer = Requantizer(config=config)
        lanes_width = config.requantize_lanes * ACCUMULATOR_WIDTH
        m.submodules.parameters = collector = ParameterCollector(config=config)
        connect(m, wiring.flipped(self.parameters), collector.i)
        parameters_width = config.requantize_lanes * CHANNEL_PARAMETER_WIDTH
        m.d.comb += [
            collector.claim.eq(self.claim),
            collector.opens.eq(self.opens),
            self.parameters_ready.eq(collector.parameters_ready),
            requantizer.i.eq(self.sums.word_select(run if passes > 1 else 0, lanes_width)),
            requantizer.parameters.eq(
                collector.current.as_value().word_select(run if passes > 1 else 0, parameters_width)
            ),
            requantizer.output_range.zero_point.eq(command.zero_point),
            requantizer.output_range.clamp_min.eq(command.clamp_min),
            requantizer.output_range.clamp_max.eq(command.clamp_max),
        ]
        stage = data.StructLayout(
            {"addr": range(config.activation_depth), "slot": range(max(slots, 2)), "index": INDEX_WIDTH}
        )
        entering = Signal(stage)
        m.d.comb += [entering.addr.eq(address), entering.slot.eq(here.slot + run), entering.index.eq(command.index)]
        valids = Signal(self.LATENCY)
        lasts = Signal(self.LATENCY)
        line = Signal(stage.size * self.LATENCY, reset_less=True)
        open_columns = Signal(self.LATENCY + 1)  # lately, a column before the last one was worked on
        m.d.sync += [
            valids.eq(Cat(runs & in_range & ~self.error, valids)),
            lasts.eq(Cat(finishes, lasts)),
            line.eq(Cat(entering.as_value(), line)),
            open_columns.eq(Cat(~walking | ~last_column, open_columns)),
            self.ends.eq(lasts[-1]),
        ]
        there = Signal(stage)
        m.d.sync += self.ends_index.eq(there.index)
        m.d.comb += [
            there.eq(line[-stage.size :]),
            self.write.en.eq(valids[-1]),
            self.write.addr.eq(there.addr),
            self.write.data.eq(requantizer.o.replicate(slots)),
            self.write.mask.eq(((1 << parts) - 1) << (there.slot * parts) if slots > 1 else ~0),
            self.in_last_column.eq(walking & last_column & ~open_columns.any()),
        ]
        return m

    def _place(
        self,
        m: Module,
        command: "data.View[WritebackCommand]",
        destination: Value,
        takes: Value,
        advances: Value,
        last_token: Value,
        last_n: Value,
    ) -> "data.View[data.StructLayout]":
        """Where the outputs of the sums that come in go: `addr`, and `slot` of the column's first pass in the word."""
        config = self._config
        passes = config.requantize_groups
        slots = config.word_bytes // config.requantize_lanes
        here = Signal(data.StructLayout({"addr": 33, "slot": range(max(slots, 2))}))
        column_address = Signal(33)  # of the column's first activation
        product_address = Signal(33)
        last_slot = here.slot == slots - passes
        next_product = product_address + command.output_batch_stride
        next_column = column_address + last_slot
        with m.If(takes):
            for register in (here.addr, column_address, product_address):
                m.d.sync += register.eq(destination)
            m.d.sync += here.slot.eq(0)
        with m.Elif(advances):
            m.d.sync += here.addr.eq(here.addr + command.output_stride)
            with m.If(last_token & last_n):
                for register in (here.addr, column_address, product_address):
                    m.d.sync += register.eq(next_product)
                m.d.sync += here.slot.eq(0)
            with m.Elif(last_token):
                m.d.sync += [here.addr.eq(next_column), column_address.eq(next_column)]
                m.d.sync += here.slot.eq(Mux(last_slot, 0, here.slot + passes))
        return here
