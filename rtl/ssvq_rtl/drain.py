"""Takes finished accumulators out, requantizes them and writes them to the activation memory."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ssvq_gen.arithmetic import ACCUMULATOR_WIDTH
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import parameter_words_per_pass

from .checks import require_config
from .requantizer import ChannelParameters, Requantizer


class DrainCommand(data.StructLayout):
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


class Drain(wiring.Component):
    """For every tile column, for every pass of `requantize_lanes` channels: one activation per cycle.

    Latency: `LATENCY` cycles from the accumulator read to the write. The channel parameters of the next pass are
    fetched while a pass runs, from a buffer of two tile columns, so that the weight stream never waits for a drain
    that waits for the weight stream.

    Members
    -------
    commands : `DrainCommand`; accepted when the drain before is done
    parameters : stream words of channel parameters
    column_done : In, a tile column is complete in the accumulators
    column_drained : its half is free again
    drain_en, drain_half, drain_index, drain_data : accumulator memory
    write_en, write_addr, write_data, write_mask : activation memory
    busy : outputs of a command are still to be written
    error, error_addr : the address is outside the activation memory; stays until reset
    """

    LATENCY = 2 + Requantizer.LATENCY

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "commands": In(stream.Signature(DrainCommand())),
                "parameters": In(stream.Signature(config.stream_width)),
                "column_done": In(1),
                "column_drained": Out(1),
                "drain_en": Out(1),
                "drain_half": Out(1),
                "drain_index": Out(range(config.accumulator_depth)),
                "drain_data": In(config.cols * ACCUMULATOR_WIDTH),
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
        passes_log2 = passes.bit_length() - 1
        slots = config.word_bytes // config.requantize_lanes  # passes that fill a memory word
        slots_log2 = slots.bit_length() - 1

        command = Signal(DrainCommand(), reset_less=True)
        walking = Signal()
        columns_ready = Signal(range(3))  # tile columns complete, not drained
        half = Signal()
        n = Signal(16)
        t = Signal(16)
        slot = Signal(max(slots_log2, 1))  # pass in the memory word; its low bits are the pass in the tile column
        address = Signal(33)
        word_address = Signal(33)  # of the first activation
        current = Signal(data.ArrayLayout(ChannelParameters(), config.requantize_lanes), reset_less=True)
        upcoming, upcoming_valid, take_upcoming = self._parameter_reader(m)
        have_parameters = Signal()

        last_token = t == command.tokens - 1
        last_pass = slot[:passes_log2] == passes - 1
        last_slot = slot == slots - 1
        last_n = n == command.n_tiles - 1
        in_range = address < config.activation_depth
        ready = walking & have_parameters & (columns_ready != 0)
        m.d.comb += [
            self.commands.ready.eq(~self.busy),
            self.drain_en.eq(ready & in_range & ~self.error),
            self.drain_half.eq(half),
            self.drain_index.eq(t),
            self.column_drained.eq(self.drain_en & last_token & last_pass),
            take_upcoming.eq(upcoming_valid & (~have_parameters | (self.drain_en & last_token))),
        ]
        with m.If(ready & ~in_range):
            m.d.sync += [self.error.eq(1), self.error_addr.eq(address)]
        m.d.sync += columns_ready.eq(columns_ready + self.column_done - self.column_drained)

        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += [
                command.eq(self.commands.payload),
                address.eq(self.commands.payload.destination),
                word_address.eq(self.commands.payload.destination),
                walking.eq(1),
                n.eq(0),
                t.eq(0),
                slot.eq(0),
            ]
        with m.If(self.drain_en):
            m.d.sync += [t.eq(t + 1), address.eq(address + command.output_stride)]
            with m.If(last_token):
                next_word = word_address + last_slot
                m.d.sync += [t.eq(0), slot.eq(Mux(last_slot, 0, slot + 1))]
                m.d.sync += [word_address.eq(next_word), address.eq(next_word), have_parameters.eq(0)]
                with m.If(last_pass):
                    m.d.sync += [half.eq(~half), n.eq(n + 1)]
                    with m.If(last_n):
                        m.d.sync += walking.eq(0)
        with m.If(take_upcoming):
            m.d.sync += have_parameters.eq(1)

        # Accumulators come a cycle after the read, their pass's parameters with them.
        stages = [Signal(name=f"writing{i}") for i in range(self.LATENCY)]
        addresses = [Signal(range(config.activation_depth), reset_less=True) for _ in stages]
        slots_on_way = [Signal.like(slot, reset_less=True) for _ in stages]
        m.d.sync += [stages[0].eq(self.drain_en), addresses[0].eq(address), slots_on_way[0].eq(slot)]
        for i in range(1, self.LATENCY):
            m.d.sync += [stages[i].eq(stages[i - 1]), addresses[i].eq(addresses[i - 1])]
            m.d.sync += slots_on_way[i].eq(slots_on_way[i - 1])
        with m.If(take_upcoming):
            m.d.sync += current.eq(upcoming)

        m.submodules.requantizer = requantizer = Requantizer(config=config)
        lanes_width = config.requantize_lanes * ACCUMULATOR_WIDTH
        selected = Signal(lanes_width, reset_less=True)
        selected_parameters = Signal.like(current, reset_less=True)
        parameters_read = Signal.like(current, reset_less=True)
        with m.If(self.drain_en):
            m.d.sync += parameters_read.eq(current)
        m.d.sync += [
            selected.eq(self.drain_data.word_select(slots_on_way[0][:passes_log2], lanes_width)),
            selected_parameters.eq(parameters_read),
        ]
        m.d.comb += [
            requantizer.i.eq(selected),
            requantizer.parameters.eq(selected_parameters),
            requantizer.zero_point.eq(command.zero_point),
            requantizer.clamp_min.eq(command.clamp_min),
            requantizer.clamp_max.eq(command.clamp_max),
            self.write_en.eq(stages[-1]),
            self.write_addr.eq(addresses[-1]),
            self.write_data.eq(requantizer.o.replicate(slots)),
            self.write_mask.eq(1 << slots_on_way[-1]),
            self.busy.eq(walking | (sum(stages[1:], stages[0]) != 0)),
        ]
        return m

    def _parameter_reader(self, m: Module) -> tuple[Signal, Signal, Signal]:
        """Collects the parameters of the next pass. Returns (parameters, valid, take)."""
        config = self._config
        words = parameter_words_per_pass(config)
        # Two tile columns, rounded up for the memory.
        depth = 1 << (2 * words * config.requantize_groups - 1).bit_length()
        m.submodules.parameters = fifo = SyncFIFOBuffered(width=config.stream_width, depth=depth)
        collected = Signal(words * config.stream_width, reset_less=True)
        count = Signal(range(words + 1))
        valid = Signal()
        take = Signal()
        m.d.comb += [
            fifo.w_data.eq(self.parameters.payload),
            fifo.w_en.eq(self.parameters.valid),
            self.parameters.ready.eq(fifo.w_rdy),
            valid.eq(count == words),
            fifo.r_en.eq(~valid | take),
        ]
        with m.If(fifo.r_en & fifo.r_rdy):
            shifted = collected[config.stream_width :] if words > 1 else collected[:0]
            m.d.sync += collected.eq(Cat(shifted, fifo.r_data))
            m.d.sync += count.eq(Mux(valid, 1, count + 1))
        with m.Elif(take):
            m.d.sync += count.eq(0)
        return collected, valid, take
