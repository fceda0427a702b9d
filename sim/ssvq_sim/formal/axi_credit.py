# amaranth: UnusedElaboratable=no
"""What is requested has a place: the beats of the weight stream in its buffer, those of a LOAD in its command.

The bursts themselves are proved with the splitter (`axi_bursts`). What FIFOs hold is not looked at here.
"""

from __future__ import annotations

from functools import partial

from amaranth.hdl import Assert, Assume, Module, Mux, Signal
from amaranth.lib import data

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_gen.format import Residency
from ssvq_rtl.bus import COMMAND_BEATS_WIDTH, RESIDENCY_WIDTH, TAG_WIDTH, beats_of_words
from ssvq_rtl.load import OPEN_BEATS, LoadEngine
from ssvq_rtl.weight_stream import WeightStream

from .axi_bursts import assume_commands
from .proof import Method, Proof, itself
from .rules import Shown, Window, any_input, any_ready, assert_held, before, moves, never_reset


class Weights(Shown):
    """A weight stream with any commands, a bus that brings what was requested at any time, and any pauses."""

    def __init__(self, config: CoreConfig) -> None:
        depth = config.weight_buffer_depth
        self._entry = data.StructLayout(
            {
                "beats": COMMAND_BEATS_WIDTH,
                "tag": TAG_WIDTH,
                "residency": RESIDENCY_WIDTH,
                "cache_beat": range(max(config.weight_cache_depth, 2)),
            }
        )
        widths = {"credit": depth.bit_length(), "buffer.level": (depth + 1).bit_length()}
        widths |= {"buffer.inner_level": depth.bit_length(), "opened.r_data": self._entry.size}
        widths |= {"active": 1, "remaining": COMMAND_BEATS_WIDTH, "last": 1, "tag": TAG_WIDTH, "reuses": 1}
        widths |= dict.fromkeys(("started", "buffer.w_rdy", "opened.r_en", "opened.r_rdy", "opened.w_en"), 1)
        widths |= dict.fromkeys(("splitter.commands__valid", "splitter.commands__ready", "queue.r_en"), 1)
        super().__init__(config, widths | {"command.residency": RESIDENCY_WIDTH})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        see, depth = self.see, self._config.weight_buffer_depth
        m.submodules.dut = dut = WeightStream(config=self._config)
        any_input(m, dut.commands, "commands")
        any_input(m, dut.data, "data")
        any_ready(m, dut.requests, "requests")
        any_ready(m, dut.o, "o")
        never_reset(m)
        open_beats = Signal(range(depth + 1))
        m.d.sync += open_beats.eq(open_beats + Mux(moves(dut.requests), dut.requests.p.beats, 0) - moves(dut.data))
        is_reuse = see("command.residency") == Residency.REUSE
        given = see("splitter.commands__valid") & see("splitter.commands__ready")
        m.d.comb += [
            Assume(~dut.data.valid | (open_beats != 0)),
            Assert(dut.data.ready & (~dut.data.valid | see("buffer.w_rdy"))),
            Assert(see("credit") + open_beats + see("buffer.level") == depth),
            Assert(see("buffer.inner_level") <= depth),
            # A command is fetched or, with REUSE, not, and either way delivered once.
            Assert((see("queue.r_en") == see("started")) & (see("opened.w_en") == see("started"))),
            Assert(see("started") == Mux(is_reuse, see("started") & ~given, given)),
        ]
        self._deliver(m, dut)
        return m

    def _deliver(self, m: Module, dut: WeightStream) -> None:
        """As many words as the command has beats, the last one marked."""
        see = self.see
        oldest = data.View(self._entry, see("opened.r_data"))
        left, tag = Signal(COMMAND_BEATS_WIDTH), Signal(TAG_WIDTH)
        with m.If(see("opened.r_en") & see("opened.r_rdy")):
            m.d.sync += [left.eq(oldest.beats), tag.eq(oldest.tag)]
        with m.Elif(moves(dut.o)):
            m.d.sync += left.eq(left - 1)
        m.d.comb += [
            Assume(~see("opened.r_rdy") | (oldest.beats != 0)),
            Assert(~dut.o.valid | ((left != 0) & (dut.o.p.last == (left == 1)) & (dut.o.p.tag == tag))),
            Assert(~(see("opened.r_en") & see("opened.r_rdy")) | (left == moves(dut.o))),
            # What the induction needs besides.
            Assert(see("active") == (left != 0)),
            Assert((left == 0) | ((see("remaining") == left) & (see("last") == (left == 1)) & (see("tag") == tag))),
        ]


class Loading(Shown):
    """A LOAD engine with any commands that pass the check, and any pauses of bus and memory."""

    def __init__(self, config: CoreConfig) -> None:
        self._ratio = 8 * config.word_bytes // config.axi_data_width
        self._count = config.activation_depth.bit_length()
        widths = {"busy": 1, "remaining": self._count, "word_addr": (config.activation_depth - 1).bit_length()}
        widths |= {"tag": TAG_WIDTH, "converter.part": (self._ratio - 1).bit_length(), "converter.full": 1}
        widths |= {"credit": OPEN_BEATS.bit_length(), "splitter.remaining": COMMAND_BEATS_WIDTH, "splitter.active": 1}
        super().__init__(config, widths)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        see, config, ratio = self.see, self._config, self._ratio
        m.submodules.dut = dut = LoadEngine(config=config)
        commands, requests, write = dut.commands, dut.requests, dut.write
        any_input(m, commands, "commands")
        any_input(m, dut.data, "data")
        any_ready(m, requests, "requests")
        any_ready(m, write, "write")
        never_reset(m)
        beats = Signal(COMMAND_BEATS_WIDTH)
        m.d.comb += [
            beats.eq(beats_of_words(config, commands.p.words)),
            Assume(commands.p.destination + commands.p.words <= config.activation_depth),
        ]
        assume_commands(m, config, commands.p.addr, beats)
        taken, written = moves(commands), moves(write)
        window = Window(m, config, taken, commands.p.addr, beats, commands.p.tag, moves(requests))
        window.assert_request(m, requests.valid, requests.p.addr, requests.p.beats, requests.p.tag)
        open_beats = Signal(range(OPEN_BEATS + 1))
        m.d.sync += open_beats.eq(open_beats + Mux(moves(requests), requests.p.beats, 0) - moves(dut.data))
        words, place, tag = Signal(self._count), Signal(len(write.p.addr)), Signal(TAG_WIDTH)
        with m.If(taken):
            m.d.sync += [words.eq(commands.p.words), place.eq(commands.p.destination), tag.eq(commands.p.tag)]
        with m.Elif(written):
            m.d.sync += [words.eq(words - 1), place.eq(place + 1)]
        ends = before(m, written & (words == 1), "ends")
        on_the_way = window.left + open_beats + see("converter.part") + Mux(see("converter.full"), ratio, 0)
        assert_held(m, write, "write")
        assert_held(m, requests, "requests")
        m.d.comb += [
            Assume(~dut.data.valid | (open_beats != 0)),
            Assert(see("credit") + open_beats == OPEN_BEATS),
            Assert(~taken | (words == 0)),
            Assert(~write.valid | ((words != 0) & (write.p.addr == place))),
            Assert(dut.done == ends),
            Assert(~ends | (dut.done_tag == before(m, tag, "tag"))),
            # Nothing is on its way that no word is for, so that nothing is left for the next command.
            Assert(words * ratio == on_the_way),
            # What the induction needs besides.
            Assert(see("busy") == (words != 0)),
            Assert((words == 0) | ((see("remaining") == words) & (see("word_addr") == place) & (see("tag") == tag))),
            Assert(see("splitter.active") == (window.left != 0)),
            Assert(
                (window.left == 0) | ((see("splitter.remaining") == window.left) & (requests.p.addr == window.next))
            ),
            Assert((window.left == 0) | (requests.p.tag == window.tag)),
            Assert(words <= config.activation_depth),
        ]
        return m


def credit_proofs() -> list[Proof]:
    """For `tiny`; a LOAD also where a word is four beats."""
    tiny, edge = PRESETS["tiny"], PRESETS["edge"]
    made: list[tuple[str, str, Shown]] = [
        (
            "axi_weights",
            "no more beats are requested than the weight buffer has room for; every command is fetched once, or not if "
            "it is reused, and delivered with as many words as it has beats",
            Weights(tiny),
        ),
        *(
            (
                f"axi_load_{config.axi_data_width}",
                f"a LOAD on a bus of {config.axi_data_width} bits requests its window and nothing else, has at most "
                f"{OPEN_BEATS} beats open, writes every word once to its place, and ends with nothing on its way",
                Loading(config),
            )
            for config in (tiny, edge)
        ),
    ]
    return [
        Proof(
            name=name, claim=claim, build=partial(itself, shown), method=Method.INDUCTION, depth=2, probes=shown.probes
        )
        for name, claim, shown in made
    ]
