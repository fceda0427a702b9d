# amaranth: UnusedElaboratable=no
"""The decoder's weights are those of the format: codeword of the index, times the sign.

Any group of steps is looked at, in any lane of one of its steps. What the format says of it
is written down here once more, from `ssvq_gen.stream_format.StreamFormat`. The codebook's memory is left out: at the
address of the codeword in question it has any word, and anything at all others.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from unittest.mock import patch

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Assume, Cat, Const, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data

from ssvq_gen.config import CODEBOOK_WORD_WIDTH, LANE_WEIGHTS, PRESETS, WeightFormat
from ssvq_gen.stream_format import StreamFormat
from ssvq_rtl.decoder import Decoder
from ssvq_rtl.layer_shape import Group

from .proof import Method, Proof, any_for_ever
from .rules import any_input, any_ready, assert_held, flat, moves, never_reset

_PAUSES = 2


class _Port:
    """The signals of a port of a memory."""

    def __init__(self, width: int, depth: int) -> None:
        self.en, self.addr, self.data = Signal(), Signal(range(depth)), Signal(width)


class _AnyCodebook(Elaboratable):
    """A memory that has `word` at `address`, whatever is written."""

    def __init__(self, word: Signal, address: Signal, *, shape: int, depth: int, init: list[int]) -> None:
        del init
        self._word, self._address = word, address
        self._read, self._write = _Port(shape, depth), _Port(shape, depth)

    def read_port(self) -> _Port:
        return self._read

    def write_port(self) -> _Port:
        return self._write

    def elaborate(self, platform: object) -> Module:
        m = Module()
        read = self._read
        other = Signal(len(read.data))
        m.d.comb += other.eq(AnySeq(len(read.data)))
        with m.If(read.en):
            m.d.sync += read.data.eq(Mux(read.addr == self._address, self._word, other))
        return m


class Decoding(Elaboratable):
    """One group of any index planes, with any sign words and any pauses."""

    def __init__(self, layout: StreamFormat, step: int) -> None:
        self._format, self._config, self._step = layout, layout.config, step

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        word = any_for_ever(m, config.codebook_write_words * CODEBOOK_WORD_WIDTH, "word")
        address = any_for_ever(m, range(config.codebook_ram_depth), "address")
        self._dut = dut = Decoder(config=config)
        with patch.dict(Decoder.elaborate.__globals__, Memory=partial(_AnyCodebook, word, address)):
            m.submodules.dut = dut.elaborate(platform)
        any_input(m, dut.groups, "groups")
        any_input(m, dut.signs, "signs")
        any_ready(m, dut.o, "o")
        never_reset(m)
        m.d.comb += dut.product_done.eq(0)
        self._lane = lane = any_for_ever(m, range(config.decode_lanes), "lane")
        m.d.comb += Assume(lane < config.decode_lanes)
        group = self._one_group(m)
        signs = self._signs(m)
        for row in range(LANE_WEIGHTS):
            codeword = self._codeword(m, group, row, word, address)
            self._assert_weight(m, group, row, codeword, signs[row])
        assert_held(m, dut.o, "o")
        self._assert_arrival(m)
        return m

    def _one_group(self, m: Module) -> data.View[Group]:
        """Takes one group, of the format and no longer than one, and returns it."""
        groups, layout = self._dut.groups, self._format
        offered, group = groups.payload, Signal(Group(self._config))
        self._begun = begun = Signal()
        with m.If(moves(groups)):
            m.d.sync += [begun.eq(1), group.eq(offered)]
        m.d.comb += [
            Assume(~(groups.valid & begun)),
            Assume((offered.steps > self._step) & (offered.steps <= layout.steps_per_group)),
            Assume(offered.weight_format == layout.weight_format),
            Assume(offered.index_width == layout.index_width),
            Assume(offered.vector_dim_log2 == layout.vector_dim_log2),
            Assume(~offered.is_product),
        ]
        if layout.weight_format is not WeightFormat.INT8:
            m.d.comb += Assume(~Cat(list(offered.planes)[layout.index_width :]).any())
        return group

    def _codeword(self, m: Module, group: data.View[Group], row: int, word: Signal, address: Signal) -> Value:
        """The weight of a row before its sign, as the format says."""
        config, layout, step, lane = self._config, self._format, self._step, self._lane
        lanes, column_groups = config.decode_lanes, config.column_groups
        if layout.weight_format is WeightFormat.INT8:
            return Cat(_bit(plane, row * lanes + lane) for plane in group.planes)[:8]
        row_block, column_group = step // column_groups, step % column_groups
        if layout.vector_dim < LANE_WEIGHTS:
            chunk, part = 2 * step + row // layout.vector_dim, 0
        else:
            chunk = row_block // layout.slices * column_groups + column_group
            part = row_block % layout.slices
        index = Cat(_bit(group.planes[p], chunk * lanes + lane) for p in range(layout.index_width))
        place = Signal(range(2 * config.codebook_depth), name=f"place{row}")
        m.d.comb += place.eq(group.codebook_page * config.codebook_depth + part * layout.codebook_size + index)
        words = config.codebook_write_words
        m.d.comb += Assume(~self._begun | (address == place // words))
        codeword: Value = word.word_select(place % words, CODEBOOK_WORD_WIDTH).word_select(row, 8)
        return codeword

    def _signs(self, m: Module) -> Value:
        """The bits of the lane's weights in the sign word of the step."""
        signs, lanes = self._dut.signs, self._config.decode_lanes
        count, bits = Signal(range(self._step + 2)), Signal(LANE_WEIGHTS)
        with m.If(moves(signs) & (count <= self._step)):
            m.d.sync += count.eq(count + 1)
        with m.If(moves(signs) & (count == self._step)):
            m.d.sync += bits.eq(Cat(_bit(signs.payload, row * lanes + self._lane) for row in range(LANE_WEIGHTS)))
        return bits if self._format.weight_format is WeightFormat.SSVQ else Value.cast(Const(0, LANE_WEIGHTS))

    def _assert_weight(self, m: Module, group: data.View[Group], row: int, codeword: Value, sign: Value) -> None:
        """In the step that is looked at, the weight of this row is right and goes to its place."""
        o, step, config = self._dut.o, self._step, self._config
        halves = 2 if self._format.vector_dim == 2 else 1
        count = Signal(range(halves * self._format.steps_per_group + 2), name=f"count{row}")
        with m.If(moves(o)):
            m.d.sync += count.eq(count + 1)
        half = row // 2 if halves == 2 else 0
        now = o.valid & (count == halves * step + half)
        found = o.p.weights[row][self._lane]
        ends = step % config.column_groups == config.column_groups - 1 and half == halves - 1
        m.d.comb += [
            Assert(~o.valid | (count < halves * group.steps)),
            Assert(~now | (found == Mux(sign, -codeword.as_signed(), codeword.as_signed())[:8])),
            Assert(~now | o.p.row_mask[row]),
            Assert(~now | (o.p.row_block == step // config.column_groups % config.row_blocks)),
            Assert(~now | (o.p.column_group == step % config.column_groups)),
            Assert(~now | (o.p.completes_rows == ends)),
        ]

    def _assert_arrival(self, m: Module) -> None:
        """The step is there in the last cycle that is looked at, if not more than `_PAUSES` were lost to neighbours."""
        groups, signs, o = self._dut.groups, self._dut.signs, self._dut.o
        last = _cycles(self._format, self._step) - 1
        halves = 2 if self._format.vector_dim == 2 else 1
        before = halves * (self._step + 1) - 1
        cycle, pauses = Signal(range(last + 2)), Signal(range(_PAUSES + 2))
        count = Signal(range(before + 2))
        lost = ~((groups.valid | self._begun) & signs.valid & o.ready)
        m.d.sync += cycle.eq(Mux(cycle > last, cycle, cycle + 1))
        with m.If(lost & (pauses <= _PAUSES)):
            m.d.sync += pauses.eq(pauses + 1)
        with m.If(moves(o) & (count <= before)):
            m.d.sync += count.eq(count + 1)
        there = (count > before) | (o.valid & (count == before))
        m.d.comb += Assert((cycle != last) | (pauses > _PAUSES) | there)


def _bit(payload: Any, place: Value) -> Value:
    return flat(payload).bit_select(place, 1)


def decode_proofs() -> list[Proof]:
    """Small formats and 16 codewords of 8 weights in every step of a group; one step of the other formats, and one on a
    core that has two groups of columns and writes two words of codebook at once."""
    tiny = PRESETS["tiny"].replace(max_codebook_size=16)
    wide = tiny.replace(axi_data_width=64, cols=32, decode_lanes=16)
    ssvq, vq = WeightFormat.SSVQ, WeightFormat.VQ
    steps = [
        *((StreamFormat(config=tiny, weight_format=ssvq, codebook_size=2, vector_dim=2), step) for step in range(2)),
        *((StreamFormat(config=tiny, weight_format=ssvq, codebook_size=4, vector_dim=4), step) for step in range(4)),
        *((StreamFormat(config=tiny, weight_format=ssvq, codebook_size=16, vector_dim=8), step) for step in range(8)),
        (StreamFormat(config=wide, weight_format=ssvq, codebook_size=16, vector_dim=8), 1),
        (StreamFormat(config=tiny, weight_format=vq, codebook_size=16, vector_dim=8), 3),
        (StreamFormat(config=tiny, weight_format=WeightFormat.INT8), 0),
    ]
    return [
        Proof(
            name=f"decode_{_name(layout)}_lanes_{layout.config.decode_lanes}_step_{step}",
            claim=f"the four weights of any lane in step {step} of a group are what the format says, whatever indices, "
            f"codewords, signs and pauses, and come: {_name(layout)}, {layout.config.decode_lanes} lanes",
            build=partial(Decoding, layout, step),
            method=Method.BOUNDED,
            depth=_cycles(layout, step),
            subject="dut" if layout.config is tiny else "",  # of others there is one step
            component="decoder of 8 lanes" if layout.config is tiny else "",
        )
        for layout, step in steps
    ]


def _cycles(layout: StreamFormat, step: int) -> int:
    """Cycles to the end of the step without pauses, and as many as there may be in front of it."""
    halves = 2 if layout.vector_dim == 2 else 1
    return 1 + halves * (step + 1) + Decoder.LATENCY + _PAUSES


def _name(layout: StreamFormat) -> str:
    if layout.weight_format is WeightFormat.INT8:
        return "int8"
    return f"{layout.weight_format.name.lower()}_k{layout.codebook_size}_d{layout.vector_dim}"
