"""Long transfers cut into AXI bursts."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import MAX_BURST_BEATS, CoreConfig

from .bus import (
    BURST_BEATS_WIDTH,
    COMMAND_BEATS_WIDTH,
    TAG_WIDTH,
    BurstRequest,
    StreamCommand,
    beat_size,
    bytes_of_beats,
)
from .checks import require_config, require_range


class BurstSplitter(wiring.Component):
    """Cuts commands into bursts that end on multiples of the longest burst.

    The longest burst divides 4096 bytes, so no burst crosses such a boundary. A command that starts inside a longest
    burst gets one shorter burst first; all others but the last are full.

    Latency 1 cycle from a command to its first burst; one burst a cycle, also from command to command.

    Parameters
    ----------
    config : core configuration
    credit_width : bits of `credit`

    Members
    -------
    commands : stream of StreamCommand
    requests : stream of BurstRequest
    credit : beats that the sink can still take. A burst is offered once it fits. Between two requests `credit` must
        not fall, and a request's beats leave it in the cycle after the request
    idle : no command is held
    """

    def __init__(self, *, config: CoreConfig, credit_width: int = BURST_BEATS_WIDTH) -> None:
        self._config = config = require_config(config)
        require_range("credit_width", credit_width, BURST_BEATS_WIDTH, COMMAND_BEATS_WIDTH)
        super().__init__(
            {
                "commands": In(stream.Signature(StreamCommand(config.axi_addr_width))),
                "requests": Out(stream.Signature(BurstRequest(config.axi_addr_width))),
                "credit": In(credit_width),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        active = Signal()
        addr = Signal(self._config.axi_addr_width, reset_less=True)
        remaining = Signal(COMMAND_BEATS_WIDTH, reset_less=True)
        tag = Signal(TAG_WIDTH, reset_less=True)

        # Beats up to the next multiple of the longest burst, or what is left
        offset = addr.shift_right(beat_size(self._config)) % MAX_BURST_BEATS
        space = Signal(BURST_BEATS_WIDTH)
        beats = Signal(BURST_BEATS_WIDTH)
        ends = Signal()
        m.d.comb += [
            space.eq(MAX_BURST_BEATS - offset),
            ends.eq(remaining <= space),
            beats.eq(Mux(ends, remaining, space)),
        ]

        taken = Signal()
        m.d.comb += [
            self.requests.valid.eq(active & (self.credit >= beats)),
            self.requests.p.addr.eq(addr),
            self.requests.p.beats.eq(beats),
            self.requests.p.tag.eq(tag),
            taken.eq(self.requests.valid & self.requests.ready),
            self.commands.ready.eq(~active | (taken & ends)),
            self.idle.eq(~active),
        ]
        with m.If(taken):
            m.d.sync += [
                addr.eq(addr + bytes_of_beats(self._config, beats)),
                remaining.eq(remaining - beats),
                active.eq(~ends),
            ]
        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += [
                addr.eq(self.commands.p.addr),
                remaining.eq(self.commands.p.beats),
                tag.eq(self.commands.p.tag),
                active.eq(1),
            ]
        return m
