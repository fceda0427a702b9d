"""Descriptors on their way from DRAM."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DESCRIPTOR_BYTES

from .bus import BurstRequest, ReadBeat
from .checks import require_config
from .descriptor import INDEX_WIDTH, FetchedDescriptor
from .width_converter import WidthConverter

_DESCRIPTOR_WIDTH = 8 * DESCRIPTOR_BYTES
_BUFFERS = 2


class DescriptorFetch(wiring.Component):
    """Fetches a job's descriptors one after the other, one burst each; the next arrives while the current one waits.

    A descriptor is only requested when there is room for it, so `data` is always ready when a beat can arrive.

    Latency 1 cycle from `start` to the first request, 2 cycles from a descriptor's last beat to `o`.

    Parameters
    ----------
    config : core configuration

    Members
    -------
    start : pulse, begin a job; only when all descriptors of the last one were taken
    addr : byte address of the first descriptor, 64-byte aligned
    count : descriptors in the job; with 0 nothing happens
    requests : stream of BurstRequest, to the arbiter
    data : stream of ReadBeat, from the arbiter
    o : stream of FetchedDescriptor
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "start": In(1),
                "addr": In(config.axi_addr_width),
                "count": In(INDEX_WIDTH),
                "requests": Out(stream.Signature(BurstRequest(config.axi_addr_width))),
                "data": In(stream.Signature(ReadBeat(config.axi_data_width))),
                "o": Out(stream.Signature(FetchedDescriptor())),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.assemble = assemble = WidthConverter(i_width=config.axi_data_width, o_width=_DESCRIPTOR_WIDTH)
        m.submodules.hold = hold = WidthConverter(i_width=_DESCRIPTOR_WIDTH, o_width=_DESCRIPTOR_WIDTH)

        # Requests, as long as a buffer is free
        to_request = Signal(INDEX_WIDTH)
        request_addr = Signal(config.axi_addr_width, reset_less=True)
        request_index = Signal(INDEX_WIDTH, reset_less=True)
        free = Signal(range(_BUFFERS + 1), init=_BUFFERS)
        requested = Signal()
        m.d.comb += [
            self.requests.valid.eq((to_request != 0) & (free != 0)),
            self.requests.p.addr.eq(request_addr),
            self.requests.p.beats.eq(DESCRIPTOR_BYTES // config.beat_bytes),
            self.requests.p.tag.eq(request_index),
            requested.eq(self.requests.valid & self.requests.ready),
        ]
        m.d.sync += free.eq(free - requested + (self.o.valid & self.o.ready))
        with m.If(requested):
            m.d.sync += [
                to_request.eq(to_request - 1),
                request_addr.eq(request_addr + DESCRIPTOR_BYTES),
                request_index.eq(request_index + 1),
            ]

        # Beats to descriptors: one is put together while another waits
        to_deliver = Signal(INDEX_WIDTH, reset_less=True)
        index = Signal(INDEX_WIDTH, reset_less=True)
        m.d.comb += [
            assemble.i.p.data.eq(self.data.p.data),
            assemble.i.p.last.eq(self.data.p.last),
            assemble.i.valid.eq(self.data.valid),
            self.data.ready.eq(assemble.i.ready),
            hold.i.p.data.eq(assemble.o.p.data),
            hold.i.valid.eq(assemble.o.valid),
            assemble.o.ready.eq(hold.i.ready),
            self.o.p.fields.eq(hold.o.p.data[: self.o.p.fields.shape().size]),
            self.o.p.index.eq(index),
            self.o.p.last.eq(to_deliver == 1),
            self.o.valid.eq(hold.o.valid),
            hold.o.ready.eq(self.o.ready),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [to_deliver.eq(to_deliver - 1), index.eq(index + 1)]

        with m.If(self.start):
            m.d.sync += [
                to_request.eq(self.count),
                request_addr.eq(self.addr),
                request_index.eq(0),
                to_deliver.eq(self.count),
                index.eq(0),
            ]
        return m
