# amaranth: UnusedElaboratable=no
"""The splitter's bursts: in the command's window, no longer than allowed, across no page, and none is missing."""

from __future__ import annotations

from functools import partial

from amaranth.hdl import Assert, Assume, Elaboratable, Module, Signal

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_gen.format import DRAM_ALIGNMENT
from ssvq_rtl.burst_splitter import BurstSplitter
from ssvq_rtl.bus import COMMAND_BEATS_WIDTH, bytes_of_beats

from .proof import Method, Proof, any_in_every_cycle, itself
from .rules import Window, any_input, any_ready, assert_held, before, moves, never_reset

_CREDIT_WIDTH = 8


class Splitting(Elaboratable):
    """A splitter with any commands, a sink that takes bursts at any time, and any credit that keeps to its rule."""

    def __init__(self, config: CoreConfig) -> None:
        self._config = config
        self.remaining = Signal(COMMAND_BEATS_WIDTH, name="remaining")
        self.probes = {"remaining": "dut.remaining"}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.dut = dut = BurstSplitter(config=config, credit_width=_CREDIT_WIDTH)
        commands, requests = dut.commands, dut.requests
        any_input(m, commands, "commands")
        any_ready(m, requests, "requests")
        never_reset(m)
        assume_commands(m, config, commands.p.addr, commands.p.beats)
        moved = moves(requests)
        credit = any_in_every_cycle(m, _CREDIT_WIDTH, "credit")
        falls = credit < before(m, credit, "credit")
        m.d.comb += [dut.credit.eq(credit), Assume(~falls | before(m, moved, "moved"))]

        window = Window(m, config, moves(commands), commands.p.addr, commands.p.beats, commands.p.tag, moved)
        window.assert_request(m, requests.valid, requests.p.addr, requests.p.beats, requests.p.tag)
        assert_held(m, requests, "requests")
        m.d.comb += [
            Assert(requests.valid == ((window.left != 0) & (credit >= window.beats))),
            Assert(commands.ready == ((window.left == 0) | (moved & (window.beats == window.left)))),
            Assert(dut.idle == (window.left == 0)),
            # What the induction needs besides.
            Assert(dut.idle | ((self.remaining == window.left) & (requests.p.addr == window.next))),
            Assert(dut.idle | (requests.p.tag == window.tag)),
        ]
        return m


def assume_commands(m: Module, config: CoreConfig, addr: Signal, beats: Signal) -> None:
    """What the check of descriptors promises of transfers: aligned, not empty, and inside of what can be addressed."""
    m.d.comb += [
        Assume(beats != 0),
        Assume(addr % DRAM_ALIGNMENT == 0),
        Assume(addr + bytes_of_beats(config, beats) <= 1 << config.axi_addr_width),
    ]


def burst_proofs() -> list[Proof]:
    """For every width of a bus that presets have."""
    configs = {config.axi_data_width: config for config in PRESETS.values()}
    harnesses = {width: Splitting(config) for width, config in sorted(configs.items())}
    return [
        Proof(
            name=f"axi_bursts_{width}",
            claim=f"on a bus of {width} bits the bursts of a command follow each other from its first byte to its "
            "last, none with more than 16 beats or across 4 KB; each waits until it is taken and is offered once it "
            "has credit",
            build=partial(itself, harness),
            method=Method.INDUCTION,
            depth=2,
            probes=harness.probes,
        )
        for width, harness in harnesses.items()
    ]
