"""Loads the stationary operand of a PRODUCT into the array's shadow rows."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
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
        m.submodules.words = words = OperandWords(config=self._config)
        m.submodules.buffer = buffer = _StepBuffer(config=self._config)
        connect(m, words.read, wiring.flipped(self.read))
        connect(m, words.o, buffer.i)
        connect(m, buffer.o, wiring.flipped(self.o))
        m.d.comb += [
            words.commands.payload.eq(self.commands.payload),
            words.commands.valid.eq(self.commands.valid & ~self.loading),
            self.commands.ready.eq(words.commands.ready & ~self.loading),
            words.all_written.eq(self.all_written),
            words.most_written.eq(self.most_written),
            buffer.turn.eq(self.turn),
            buffer.more.eq(words.busy),
            self.done.eq(self.o.valid & self.o.ready & buffer.last),
            self.error.eq(words.error),
            self.error_addr.eq(words.error_addr),
        ]
        with m.If(self.done):
            m.d.sync += self.loading.eq(0)
        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += [self.loading.eq(1), buffer.transposed.eq(self.commands.payload.transposed)]
        return m


class _StepBuffer(wiring.Component):
    """Filled with the words of one column group (transposed) or row block, then emptied as its steps.

    more : In, there are words to come
    last : with `o`, the last step of the last word
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        super().__init__(
            {
                "i": In(stream.Signature(8 * config.word_bytes)),
                "transposed": In(1),
                "turn": In(1),
                "more": In(1),
                "o": Out(stream.Signature(DecodedStep(config))),
                "last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, transposed = self._config, self.transposed
        lanes, blocks, groups = config.decode_lanes, config.row_blocks, config.column_groups
        entries = max(blocks, groups)

        # Fill: a word is all entries of a lane, or a row of the first entries of all lanes.
        filling = Signal(init=1)
        fill = Signal(range(max(lanes, LANE_WEIGHTS)))
        take = Signal()
        m.d.comb += [self.i.ready.eq(filling), take.eq(self.i.valid & filling)]
        with m.If(take):
            m.d.sync += fill.eq(fill + 1)
            with m.If(fill == Mux(transposed, lanes - 1, LANE_WEIGHTS - 1)):
                m.d.sync += [fill.eq(0), filling.eq(0)]
        # A register for each row and lane of a step, of all entries: as wide as goes, for the sake of simulation.
        registers = []
        for row in range(LANE_WEIGHTS):
            column = self._bytes(first=row, step=LANE_WEIGHTS, count=blocks)
            for lane in range(lanes):
                weights_in_row = self._bytes(first=lane, step=lanes, count=groups)
                register = Signal(8 * entries, reset_less=True, name=f"row{row}_lane{lane}")
                with m.If(take & (fill == Mux(transposed, lane, row))):
                    # Entries beyond those of a row are not looked at.
                    low = Mux(transposed, column[: 8 * groups], weights_in_row)
                    m.d.sync += register.eq(Cat(low, column[8 * groups :]))
                registers.append(register)

        # Empty: an entry of all registers is a step.
        entry = Signal(range(max(entries, 2)))
        outer = Signal.like(entry)  # column group if transposed, else row block
        emit = Signal()
        last_entry = entry == Mux(transposed, blocks - 1, groups - 1)
        last_outer = outer == Mux(transposed, groups - 1, blocks - 1)
        column_group = Mux(transposed, outer, entry)
        step = Signal(DecodedStep(config), reset_less=True)
        m.d.comb += [emit.eq(~filling & self.turn & (~self.o.valid | self.o.ready)), self.o.payload.eq(step)]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(emit):
            m.d.sync += [
                self.o.valid.eq(1),
                step.weights.eq(Cat(register.word_select(entry, 8) for register in registers)),
                step.row_block.eq(Mux(transposed, entry, outer)),
                step.column_group.eq(column_group),
                step.row_mask.eq(~0),
                step.completes_rows.eq(column_group == groups - 1),
                self.last.eq(last_entry & ~self.more),
                entry.eq(entry + 1),
            ]
            with m.If(last_entry):
                m.d.sync += [filling.eq(1), entry.eq(0), outer.eq(Mux(last_outer, 0, outer + 1))]
        return m

    def _bytes(self, *, first: int, step: int, count: int) -> Value:
        """`count` bytes of the word, every `step`-th from number `first`."""
        return Cat(self.i.payload.word_select(first + step * i, 8) for i in range(count))
