"""Requantizes the sums of a tile column as they are completed and writes them to the activation memory."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from ssvq_gen.arithmetic import ACCUMULATOR_WIDTH
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import CHANNEL_PARAMETER_WIDTH

from .checks import require_config
from .parameters import ParameterCollector, ParameterWord
from .requantizer import Requantizer


class WritebackCommand(data.StructLayout):
    """The output side of a MATMUL, as in its descriptor."""

    def __init__(self) -> None:
        super().__init__(
            {
                "destination": 32,
                "tokens": 16,
                "n_tiles": 16,
                "output_stride": 16,
                "zero_point": signed(8),
                "clamp_min": signed(8),
                "clamp_max": signed(8),
            }
        )


class Writeback(wiring.Component):
    """Takes the sums of one activation every `requantize_groups` cycles, in passes of `requantize_lanes` channels.

    Latency: `LATENCY` cycles from a pass to its write. The channel parameters of the next tile column are collected
    while a column runs; the feeder claims them before it starts the tile whose sums are final.

    Members
    -------
    commands : `WritebackCommand`; accepted when the one before is done
    parameters : `ParameterWord`
    parameters_ready : those of the next column are there
    claim : In, the last tile of a column starts, it will use them
    opens : In, the first final sums of a column come with the next cycle
    valid, sums : In, `cols` int32, held for `requantize_groups` cycles
    write_en, write_addr, write_data, write_mask : activation memory
    busy : outputs of a command are still to be written
    error, error_addr : the address is outside the activation memory; stays until reset
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
                "write_en": Out(1),
                "write_addr": Out(range(config.activation_depth)),
                "write_data": Out(8 * config.word_bytes),
                "write_mask": Out(config.word_bytes // config.requantize_lanes),
                "busy": Out(1),
                "error": Out(1),
                "error_addr": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        passes = config.requantize_groups
        slots = config.word_bytes // config.requantize_lanes  # passes that fill a memory word

        command = Signal(WritebackCommand(), reset_less=True)
        walking = Signal()
        n = Signal(16)
        t = Signal(16)
        address = Signal(33)
        word_address = Signal(33)  # of the column's first activation
        first_slot = Signal(range(max(slots, 2)))  # of the column in its word
        run = Signal(range(max(passes, 2)))  # pass in this cycle; 0 waits for `valid`

        runs = Signal()
        last_run = run == passes - 1
        last_token = t == command.tokens - 1
        last_slot = first_slot == slots - passes
        in_range = address < config.activation_depth
        m.d.comb += [self.commands.ready.eq(~self.busy), runs.eq(walking & (self.valid | (run != 0)))]
        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += [
                command.eq(self.commands.payload),
                address.eq(self.commands.payload.destination),
                word_address.eq(self.commands.payload.destination),
                walking.eq(1),
                n.eq(0),
                t.eq(0),
                first_slot.eq(0),
            ]
        with m.If(runs & ~in_range & ~self.error):
            m.d.sync += [self.error.eq(1), self.error_addr.eq(address)]
        with m.If(runs):
            m.d.sync += run.eq(Mux(last_run, 0, run + 1))
        with m.If(runs & last_run):
            m.d.sync += [t.eq(t + 1), address.eq(address + command.output_stride)]
            with m.If(last_token):
                next_word = word_address + last_slot
                m.d.sync += [t.eq(0), n.eq(n + 1), first_slot.eq(Mux(last_slot, 0, first_slot + passes))]
                m.d.sync += [word_address.eq(next_word), address.eq(next_word)]
                with m.If(n == command.n_tiles - 1):
                    m.d.sync += walking.eq(0)

        # Requantize; address and slot travel along.
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
            requantizer.zero_point.eq(command.zero_point),
            requantizer.clamp_min.eq(command.clamp_min),
            requantizer.clamp_max.eq(command.clamp_max),
        ]
        stage = data.StructLayout({"addr": range(config.activation_depth), "slot": range(max(slots, 2))})
        here = Signal(stage)
        m.d.comb += [here.addr.eq(address), here.slot.eq(first_slot + run)]
        valids = Signal(self.LATENCY)
        line = Signal(stage.size * self.LATENCY, reset_less=True)
        m.d.sync += [
            valids.eq(Cat(runs & in_range & ~self.error, valids)),
            line.eq(Cat(here.as_value(), line)),
        ]
        there = Signal(stage)
        m.d.comb += [
            there.eq(line[-stage.size :]),
            self.write_en.eq(valids[-1]),
            self.write_addr.eq(there.addr),
            self.write_data.eq(requantizer.o.replicate(slots)),
            self.write_mask.eq(1 << there.slot if slots > 1 else 1),
            self.busy.eq(walking | valids.any()),
        ]
        return m
