"""Reads the stationary operand of a PRODUCT from the activation memory, word by word in the order of the tiles."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig

from .activation_memory import ReadPort
from .checks import require_config


class OperandCommand(data.StructLayout):
    """The stationary operand of a PRODUCT, as in its descriptor."""

    def __init__(self) -> None:
        super().__init__(
            {
                "operand": 32,
                "operand_stride": 16,
                "operand_batch_stride": 16,
                "k_tiles": 16,
                "n_tiles": 16,
                "batch_last": 16,
                "last_rows": 8,
                "last_columns": 8,
                "transposed": 1,
                "early_tiles": 16,
            }
        )


class OperandWords(wiring.Component):
    """For every product of the batch, for every tile column, for every tile: a word for each operand activation in it.

    That is a word for each of the tile's rows, whose `cols` bytes are the columns; or, transposed, for each of its
    columns, whose `rows` bytes are the rows. They begin at byte 0 of `o`. Columns beyond the tensor are zero, and rows
    too unless transposed; words that would lie outside the tensor are not read, but take their cycle.

    Latency: `LATENCY` cycles from a command to the first word. One word a cycle; `HELD` words are read before they are
    wanted, so that a reader that pauses finds them.

    Members
    -------
    commands : `OperandCommand`, taken when all words of the one before are
    all_written : In, every output of the matrix descriptor before is in the activation memory
    most_written : In, all of them but those of its last tile column
    read : `ReadPort` of the activation memory
    o : stream of words
    busy : there are words to come of the command in hand
    error, error_addr : the address is outside the activation memory; stays until reset, and nothing more is read
    """

    LATENCY = 3
    HELD = 2

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "commands": In(stream.Signature(OperandCommand())),
                "all_written": In(1),
                "most_written": In(1),
                "read": Out(ReadPort(config)),
                "o": Out(stream.Signature(8 * config.word_bytes)),
                "busy": Out(1),
                "error": Out(1),
                "error_addr": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        narrow = min(config.rows, config.cols)
        lane_count = config.word_bytes // narrow  # tiles side by side in a word, where its bytes are the narrow side
        lane_width = lane_count.bit_length() - 1

        command = Signal(OperandCommand(), reset_less=True)
        walking = Signal()
        index = Signal(range(config.word_bytes))  # of the word in its tile
        k = Signal(16)
        n = Signal(16)
        batch = Signal(16)
        first_column = Signal()  # of the first product
        address = Signal(33)
        edge = Signal(33)  # first word of the tile if transposed, else of the tile column
        following = Signal(33)  # transposed: first word of the next tile column
        batch_address = Signal(33)

        transposed = command.transposed
        last_k = k == command.k_tiles - 1
        last_n = n == command.n_tiles - 1
        last_index = index == Mux(transposed, config.cols - 1, config.rows - 1)
        inside = Mux(
            transposed,
            ~last_n | (index < command.last_columns),
            ~last_k | (index < command.last_rows),
        )

        # Does the next word go?
        held = Signal(range(self.HELD + 1))  # issued, and not taken yet
        taken = Signal()
        issue = Signal()
        wants = Signal()
        may_read = self.all_written | (self.most_written & first_column & (k < command.early_tiles))
        in_range = address < config.activation_depth
        m.d.comb += [
            taken.eq(self.o.valid & self.o.ready),
            wants.eq(walking & may_read & ((held != self.HELD) | taken)),
            issue.eq(wants & (~inside | (in_range & self.read.ready))),
            self.read.en.eq(wants & inside & in_range),
            self.read.addr.eq(address),
            self.busy.eq(walking | (held != 0)),
            self.commands.ready.eq(~self.busy),
        ]
        m.d.sync += held.eq(held + issue - taken)
        with m.If(wants & inside & ~in_range):
            m.d.sync += [self.error.eq(1), self.error_addr.eq(address)]

        # Where the next one is.
        lane = Signal(max(lane_width, 1))  # of the tile in its words
        bytes_are_narrow = transposed if config.rows < config.cols else ~transposed
        if lane_count > 1:
            tile = k if config.rows < config.cols else n
            m.d.comb += lane.eq(Mux(bytes_are_narrow, tile[:lane_width], 0))
        fills_word = ~bytes_are_narrow | (lane == lane_count - 1)
        stepped = Signal(33)
        next_batch = Signal(33)
        next_edge = Signal(33)
        m.d.comb += [
            stepped.eq(address + command.operand_stride),
            next_batch.eq(batch_address + command.operand_batch_stride),
            next_edge.eq(edge + fills_word),
        ]
        with m.If(issue):
            m.d.sync += [index.eq(index + 1), address.eq(stepped)]
        with m.If(issue & last_index):
            m.d.sync += [index.eq(0), k.eq(k + 1)]
            with m.If(k == 0):
                m.d.sync += following.eq(stepped)
            with m.If(last_k):
                m.d.sync += [k.eq(0), n.eq(n + 1), first_column.eq(0)]
                with m.If(transposed):
                    m.d.comb += next_edge.eq(Mux(k == 0, stepped, following))
                with m.If(last_n):
                    m.d.sync += [n.eq(0), batch.eq(batch + 1), batch_address.eq(next_batch)]
                    m.d.comb += next_edge.eq(next_batch)
                    with m.If(batch == command.batch_last):
                        m.d.sync += walking.eq(0)
            # Not transposed, the tile below goes on with the next activation.
            with m.If(transposed | last_k):
                m.d.sync += [address.eq(next_edge), edge.eq(next_edge)]
        with m.If(self.commands.valid & self.commands.ready):
            start = self.commands.payload.operand
            m.d.sync += [
                command.eq(self.commands.payload),
                walking.eq(1),
                batch.eq(0),
                first_column.eq(1),
                address.eq(start),
                edge.eq(start),
                batch_address.eq(start),
            ]

        # Memory stage.
        arrives = Signal()
        blank = Signal(reset_less=True)
        ragged = Signal(reset_less=True)
        lane_read = Signal.like(lane, reset_less=True)
        m.d.sync += [
            arrives.eq(issue),
            blank.eq(~inside),
            ragged.eq(last_n & ~transposed),
            lane_read.eq(lane),
        ]
        used = Signal(config.word_bytes)
        word = Signal(8 * config.word_bytes)
        arrived = Signal(8 * config.word_bytes)
        m.d.comb += [
            used.eq(
                Cat(
                    ~blank & (~ragged | (i < command.last_columns) if i < config.cols else 1)
                    for i in range(config.word_bytes)
                )
            ),
            word.eq(self.read.data),
            arrived.eq(word & Cat(used[i].replicate(8) for i in range(config.word_bytes))),
        ]
        if lane_count > 1:
            m.d.comb += word[: 8 * narrow].eq(self.read.data.word_select(lane_read, 8 * narrow))

        # The word that is offered, and one that came while it was not taken.
        spare = Signal(8 * config.word_bytes, reset_less=True)
        spare_valid = Signal()
        offered = Signal(8 * config.word_bytes, reset_less=True)
        m.d.comb += self.o.payload.eq(offered)
        with m.If(~self.o.valid | taken):
            m.d.sync += [
                offered.eq(Mux(spare_valid, spare, arrived)),
                self.o.valid.eq(spare_valid | arrives),
                spare_valid.eq(0),
            ]
        with m.Elif(arrives):
            m.d.sync += [spare.eq(arrived), spare_valid.eq(1)]
        return m
