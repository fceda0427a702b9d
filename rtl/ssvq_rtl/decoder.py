"""Decodes weights: looks codewords up, applies signs, and says which rows and columns they are for."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CODEBOOK_WORD_WIDTH, LANE_WEIGHTS, CoreConfig, WeightFormat

from .checks import require_config
from .layer_shape import Group

SIGNS_AHEAD = 2
"""Sign words that may wait for their steps."""


class DecodedStep(data.StructLayout):
    """Weights of one decode step: ``weights[row][lane]``, rows without their bit in `row_mask` are not written."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "weights": data.ArrayLayout(data.ArrayLayout(8, config.decode_lanes), LANE_WEIGHTS),
                # At least a bit each: Verilog has no signals without width.
                "row_block": max(1, (config.row_blocks - 1).bit_length()),
                "column_group": max(1, (config.column_groups - 1).bit_length()),
                "row_mask": LANE_WEIGHTS,
                "completes_rows": 1,
            }
        )


class Decoder(wiring.Component):
    """Decode lanes: one step (4 rows x `decode_lanes` columns) per cycle; half a step when vector_dim is 2.

    Latency: `LATENCY` cycles from issue to `o`. A step is issued when its index planes (and sign word) are there;
    when `o` is not taken, the whole pipeline stands. The weights of a PRODUCT do not pass through here: its turn comes
    when all steps before it have left, and no group is taken before it is done.

    Members
    -------
    groups, signs : from the unpacker
    codebook_en, codebook_addr, codebook_data : write port of the lanes' RAM
    o : `DecodedStep`
    product_turn : the shadow weights are the PRODUCT's to write; stays until `product_done`, and is not even low for a
        cycle when another PRODUCT follows at once
    product_done : In, all of its weights are written, taken in a cycle of `product_turn`
    """

    LATENCY = 2

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "groups": In(stream.Signature(Group(config))),
                "signs": In(stream.Signature(config.stream_width)),
                "codebook_en": In(1),
                "codebook_addr": In(range(config.codebook_ram_depth)),
                "codebook_data": In(config.codebook_write_words * CODEBOOK_WORD_WIDTH),
                "o": Out(stream.Signature(DecodedStep(config))),
                "product_turn": Out(1),
                "product_done": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        lanes = config.decode_lanes

        group = Signal(Group(config), reset_less=True)
        active = Signal()
        steps_left = Signal(6)
        step = Signal(5)  # in the group
        second_half = Signal()  # lower two rows of a step whose codewords have two weights
        # Step in the tile: row block, then column group.
        position = Signal(max(1, (config.steps_per_tile - 1).bit_length()))
        column_group = position[: config.column_groups.bit_length() - 1]
        row_block = position[config.column_groups.bit_length() - 1 :]

        # Issue.
        halves = group.vector_dim_log2 == 1
        is_ssvq = group.weight_format == WeightFormat.SSVQ
        ends_step = Signal()
        ends_group = Signal()
        issue = Signal()
        advance = Signal()
        signs_ahead = self._signs_ahead(m)
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            issue.eq(active & (~is_ssvq | signs_ahead.valid) & advance),
            ends_step.eq(issue & (~halves | second_half)),
            ends_group.eq(ends_step & (steps_left == 1)),
            signs_ahead.ready.eq(ends_step & is_ssvq),
            self.groups.ready.eq(~active | ends_group),
        ]
        stage1_valid = Signal()
        if config.attention:
            with m.If(group.is_product):
                m.d.comb += [
                    issue.eq(0),
                    self.product_turn.eq(active & ~stage1_valid & ~self.o.valid),
                    ends_group.eq(self.product_turn & self.product_done),
                ]
        with m.If(issue):
            m.d.sync += second_half.eq(halves & ~second_half)
        with m.If(ends_step):
            m.d.sync += [
                position.eq((position + 1) % config.steps_per_tile),
                step.eq(step + 1),
                steps_left.eq(steps_left - 1),
            ]
        with m.If(ends_group):
            m.d.sync += active.eq(0)
        with m.If(self.groups.valid & self.groups.ready):
            m.d.sync += [group.eq(self.groups.payload), steps_left.eq(self.groups.payload.steps), step.eq(0)]
            m.d.sync += active.eq(1)

        # Stage 1: codebook RAM, sign word, dense weights.
        mask = Cat((~halves | ~second_half).replicate(2), (~halves | second_half).replicate(2))
        stage1 = Signal(DecodedStep(config), reset_less=True)
        signs = Signal(data.ArrayLayout(lanes, LANE_WEIGHTS), reset_less=True)
        dense = Signal(data.ArrayLayout(data.ArrayLayout(8, lanes), LANE_WEIGHTS), reset_less=True)
        is_dense = Signal(reset_less=True)
        with m.If(advance):
            m.d.sync += [stage1_valid.eq(issue), self.o.valid.eq(stage1_valid)]
        with m.If(issue):
            m.d.sync += [
                stage1.row_block.eq(row_block),
                stage1.column_group.eq(column_group),
                stage1.row_mask.eq(mask),
                stage1.completes_rows.eq(ends_step & (column_group == config.column_groups - 1)),
                is_dense.eq(group.weight_format == WeightFormat.INT8),
                signs.eq(signs_ahead.payload & is_ssvq.replicate(config.stream_width)),
            ]
            if WeightFormat.INT8 in config.formats:
                with m.If(group.weight_format == WeightFormat.INT8):
                    for row in range(LANE_WEIGHTS):
                        for lane in range(lanes):
                            bits = Cat(group.planes[p][row * lanes + lane] for p in range(8))
                            m.d.sync += dense[row][lane].eq(bits)
        codewords = [dense[r] for r in range(LANE_WEIGHTS)]
        if config.has_codebook:
            chunk = self._chunk(m, group.vector_dim_log2, step, second_half)
            slice_offset = self._slice_offset(m, group, step)
            looked_up = self._codebook(m, group, chunk, slice_offset, issue)
            codewords = [
                [Mux(is_dense, dense[r][lane], looked_up[lane].word_select(r, 8)) for lane in range(lanes)]
                for r in range(LANE_WEIGHTS)
            ]

        # Stage 2: signs.
        o = self.o.payload
        with m.If(advance & stage1_valid):
            m.d.sync += [
                o.row_block.eq(stage1.row_block),
                o.column_group.eq(stage1.column_group),
                o.row_mask.eq(stage1.row_mask),
                o.completes_rows.eq(stage1.completes_rows),
            ]
            for row in range(LANE_WEIGHTS):
                for lane in range(lanes):
                    negative = signs[row][lane]
                    # Conditional negation: one XOR and one increment.
                    flipped = (codewords[row][lane] ^ negative.replicate(8)) + negative
                    m.d.sync += o.weights[row][lane].eq(flipped)
        return m

    def _signs_ahead(self, m: Module) -> stream.Interface:
        """Sign words in hand: some may wait, so that steps of two cycles do not keep the next group's planes back."""
        width = self._config.stream_width
        m.submodules.sign_queue = queue = SyncFIFO(width=width, depth=SIGNS_AHEAD)
        ahead = stream.Signature(width).create()
        m.d.comb += [
            ahead.valid.eq(queue.r_rdy | self.signs.valid),
            ahead.payload.eq(Mux(queue.r_rdy, queue.r_data, self.signs.payload)),
            self.signs.ready.eq(queue.w_rdy),
            queue.r_en.eq(ahead.ready),
            queue.w_data.eq(self.signs.payload),
            queue.w_en.eq(self.signs.valid & (queue.r_rdy | ~ahead.ready)),
        ]
        return ahead

    def _chunk(self, m: Module, vector_dim_log2: Signal, step: Signal, second_half: Signal) -> Signal:
        """Which quarter of the index planes this step reads, see `ssvq_gen.stream_format.StreamFormat`."""
        groups = self._config.column_groups
        groups_log2 = groups.bit_length() - 1
        chunk = Signal(2)
        column = step[:groups_log2]
        with m.Switch(vector_dim_log2):
            with m.Case(1):
                m.d.comb += chunk.eq(Cat(second_half, step[0]))
            for dim_log2 in range(2, self._config.max_vector_dim.bit_length()):
                # A row block of subvectors lasts groups * vector_dim / 4 steps.
                row = step[groups_log2 + dim_log2 - 2 :]
                with m.Case(dim_log2):
                    m.d.comb += chunk.eq(Cat(column, row))
        return chunk

    def _slice_offset(self, m: Module, group: "data.View[Group]", step: Signal) -> Signal:
        """Address in the codebook of the codeword slice that belongs to this step's row block."""
        groups_log2 = self._config.column_groups.bit_length() - 1
        offset = Signal(range(self._config.codebook_depth))
        row_block = step[groups_log2:]
        with m.Switch(group.vector_dim_log2):
            for dim_log2 in range(3, self._config.max_vector_dim.bit_length()):
                with m.Case(dim_log2):
                    m.d.comb += offset.eq(row_block[: dim_log2 - 2] << group.index_width)
        return offset

    def _codebook(
        self, m: Module, group: "data.View[Group]", chunk: Signal, slice_offset: Signal, enable: Signal
    ) -> list[Signal]:
        """One copy of the codebook for each lane, all written together. Returns each lane's 32-bit word."""
        config = self._config
        lanes = config.decode_lanes
        chunks = []
        for p in range(config.index_width):
            bits = Signal(lanes, name=f"chunk{p}")
            with m.Switch(chunk):
                for quarter in range(4):
                    with m.Case(quarter):
                        m.d.comb += bits.eq(group.planes[p].word_select(quarter, lanes))
            chunks.append(bits)
        words = []
        write_words = config.codebook_write_words
        for lane in range(lanes):
            memory = Memory(shape=write_words * CODEBOOK_WORD_WIDTH, depth=config.codebook_ram_depth, init=[])
            m.submodules[f"codebook{lane}"] = memory
            write, read = memory.write_port(), memory.read_port()
            index = Signal(config.index_width, name=f"index{lane}")
            address = index | slice_offset
            m.d.comb += [
                write.en.eq(self.codebook_en),
                write.addr.eq(self.codebook_addr),
                write.data.eq(self.codebook_data),
                index.eq(Cat(bits[lane] for bits in chunks)),
                read.en.eq(enable),
                read.addr.eq(Cat(address[write_words - 1 :], group.codebook_page)),
            ]
            if write_words == 1:
                words.append(read.data)
                continue
            place = Signal(reset_less=True, name=f"place{lane}")
            with m.If(enable):
                m.d.sync += place.eq(address[0])
            words.append(read.data.word_select(place, CODEBOOK_WORD_WIDTH))
        return words
