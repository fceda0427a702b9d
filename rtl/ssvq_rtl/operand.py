"""Loads the stationary operand of a PRODUCT into the array's shadow rows."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from ssvq_gen.config import LANE_WEIGHTS, CoreConfig

from .activation_memory import ReadPort
from .checks import require_config
from .decoder import DecodedStep
from .operand_words import OperandCommand, OperandWords


class OperandLoader(wiring.Component):
    """Turns words of the activation memory into decode steps: the weights of a PRODUCT, in the decoder's place.

    A buffer is filled with `decode_lanes` words, which are columns, and emptied as a column group's steps, one for
    each row block; or, not transposed, with four words, which are rows, and emptied as a row block's steps, one for
    each column group. While it is emptied the next words are read ahead.

    Latency: `first_step(...)` cycles from a command to its first step, 1 cycle from `turn` to a step of a full buffer.
    One tile every `tile_cycles(...)` cycles, when memory and array do not pause.

    Members
    -------
    commands : `OperandCommand`, taken when the one before is done
    turn : In, the decoder leaves the shadow rows to the command in hand; high until `done`
    all_written, most_written : see `OperandWords`
    read : `ReadPort` of the activation memory
    o : `DecodedStep`
    done : pulse, the last step of a command is taken
    loading : a command is in hand
    error, error_addr : the address is outside the activation memory; stays until reset
    """

    @staticmethod
    def tile_cycles(config: CoreConfig, *, transposed: bool) -> int:
        """Cycles from a tile to the next."""
        words = config.cols if transposed else config.rows
        return words + config.steps_per_tile

    @staticmethod
    def first_step(config: CoreConfig, *, transposed: bool) -> int:
        """Cycles from a command to the first step of its first tile."""
        return OperandWords.LATENCY + (config.decode_lanes if transposed else LANE_WEIGHTS) + 1

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "commands": In(stream.Signature(OperandCommand())),
                "turn": In(1),
                "all_written": In(1),
                "most_written": In(1),
                "read": Out(ReadPort(config)),
                "o": Out(stream.Signature(DecodedStep(config))),
                "done": Out(1),
                "loading": Out(1),
                "error": Out(1),
                "error_addr": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        lanes, blocks, groups = config.decode_lanes, config.row_blocks, config.column_groups
        entries = max(blocks, groups)
        m.submodules.words = words = OperandWords(config=config)
        connect(m, words.read, wiring.flipped(self.read))

        transposed = Signal(reset_less=True)
        m.d.comb += [
            words.commands.payload.eq(self.commands.payload),
            words.commands.valid.eq(self.commands.valid & ~self.loading),
            self.commands.ready.eq(words.commands.ready & ~self.loading),
            words.all_written.eq(self.all_written),
            words.most_written.eq(self.most_written),
            self.error.eq(words.error),
            self.error_addr.eq(words.error_addr),
        ]
        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += [self.loading.eq(1), transposed.eq(self.commands.payload.transposed)]

        # Fill: a word is all entries of a lane, or a byte of the first entries of all lanes.
        filling = Signal(init=1)
        fill = Signal(range(max(lanes, LANE_WEIGHTS)))
        take = Signal()
        buffer = [Signal(32 * entries, reset_less=True, name=f"buffer{lane}") for lane in range(lanes)]
        m.d.comb += [words.o.ready.eq(filling), take.eq(words.o.valid & filling)]
        with m.If(take):
            m.d.sync += fill.eq(fill + 1)
            with m.If(fill == Mux(transposed, lanes - 1, LANE_WEIGHTS - 1)):
                m.d.sync += [fill.eq(0), filling.eq(0)]
        word = words.o.payload
        for lane in range(lanes):
            with m.If(take & transposed & (fill == lane)):
                m.d.sync += buffer[lane][: 8 * config.rows].eq(word)
        for byte in range(LANE_WEIGHTS):
            with m.If(take & ~transposed & (fill == byte)):
                for lane in range(lanes):
                    for group in range(groups):
                        target = buffer[lane].word_select(LANE_WEIGHTS * group + byte, 8)
                        m.d.sync += target.eq(word.word_select(lanes * group + lane, 8))

        # Empty: an entry of all lanes is a step.
        entry = Signal(range(max(entries, 2)))
        outer = Signal.like(entry)  # column group if transposed, else row block
        emit = Signal()
        last_entry = entry == Mux(transposed, blocks - 1, groups - 1)
        last_outer = outer == Mux(transposed, groups - 1, blocks - 1)
        column_group = Mux(transposed, outer, entry)
        step = Signal(DecodedStep(config), reset_less=True)
        last_step = Signal(reset_less=True)  # of the command
        m.d.comb += [
            emit.eq(~filling & self.turn & (~self.o.valid | self.o.ready)),
            self.o.payload.eq(step),
            self.done.eq(self.o.valid & self.o.ready & last_step),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(emit):
            m.d.sync += [
                self.o.valid.eq(1),
                step.row_block.eq(Mux(transposed, entry, outer)),
                step.column_group.eq(column_group),
                step.row_mask.eq(~0),
                step.completes_rows.eq(column_group == groups - 1),
                # Words of a next group would have been read by now, or be about to be.
                last_step.eq(last_entry & ~words.busy),
                entry.eq(entry + 1),
            ]
            selected = Cat(lane.word_select(entry, 32) for lane in buffer)
            for row in range(LANE_WEIGHTS):
                for lane in range(lanes):
                    m.d.sync += step.weights[row][lane].eq(selected.word_select(LANE_WEIGHTS * lane + row, 8))
            with m.If(last_entry):
                m.d.sync += [filling.eq(1), entry.eq(0), outer.eq(Mux(last_outer, 0, outer + 1))]
        with m.If(self.done):
            m.d.sync += self.loading.eq(0)
        return m
