"""The owner of the AXI4 read port."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import MAX_BURST_BEATS, CoreConfig
from ssvq_gen.format import ErrorCode

from .bus import (
    BURST_INCR,
    CACHE_MODIFIABLE,
    RESPONSE_DECODE_BIT,
    RESPONSE_ERROR_BIT,
    TAG_WIDTH,
    Axi4ReadSignature,
    BurstRequest,
    BusError,
    ReadBeat,
    beat_size,
    bytes_of_beats,
)
from .checks import require_config, require_range

OPEN_BURSTS = 16
"""Bursts that may be open at once: at 16 beats each, 256 cycles of memory latency are hidden."""
_MAX_CLIENTS = 8


class ReadArbiter(wiring.Component):
    """Shares one AXI4 read port: fixed priority (client 0 first), one ID, beats routed in order of the requests.

    A beat with an error response reaches no client, and neither does any beat after it: the arbiter takes no request
    and discards beats until `halt` was seen while idle. The same holds while `halt` is high. An address that is
    raised on the bus stays until it is accepted, and open bursts are always received to their end.

    Latency 1 cycle from request to ARVALID, 0 cycles from R to `data_i`, 1 cycle from a bad beat to `error_valid`.
    One request and one beat a cycle.

    Parameters
    ----------
    config : core configuration
    clients : number of clients, 1..8

    Members
    -------
    requests_i : array of streams of BurstRequest, one a client
    data_i : array of streams of ReadBeat, one a client; read them as ``data_i[n]``
    axi : AXI4 read channels
    halt : take no request, discard beats
    idle : no address is raised and no burst is open
    error_valid, error : pulse and BusError of the first bad response; `addr` is that of the beat
    beat : a beat is accepted (discarded ones included)
    """

    def __init__(self, *, config: CoreConfig, clients: int = 3) -> None:
        self._config = config = require_config(config)
        self._clients = require_range("clients", clients, 1, _MAX_CLIENTS)
        addr_width, data_width = config.axi_addr_width, config.axi_data_width
        super().__init__(
            {
                "requests_i": In(stream.Signature(BurstRequest(addr_width))).array(clients),
                "data_i": Out(stream.Signature(ReadBeat(data_width))).array(clients),
                "axi": Out(Axi4ReadSignature(addr_width, data_width)),
                "halt": In(1),
                "idle": Out(1),
                "error_valid": Out(1),
                "error": Out(BusError(addr_width)),
                "beat": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, axi = self._config, self.axi
        owner_layout = data.StructLayout(
            {"client": range(max(self._clients, 2)), "addr": config.axi_addr_width, "tag": TAG_WIDTH}
        )
        m.submodules.owners = owners = SyncFIFO(width=owner_layout.size, depth=OPEN_BURSTS)
        failed = Signal()
        stop = Signal()
        m.d.comb += stop.eq(self.halt | failed)

        # Requests to AR, one register
        chosen = Signal(BurstRequest(config.axi_addr_width))
        entry = Signal(owner_layout)
        room = Signal()
        taken = Signal()
        valids = Cat(*(request.valid for request in self.requests_i))
        m.d.comb += [
            room.eq(~stop & owners.w_rdy & (~axi.arvalid | axi.arready)),
            taken.eq(room & valids.any()),
            entry.addr.eq(chosen.addr),
            entry.tag.eq(chosen.tag),
            owners.w_data.eq(entry),
            owners.w_en.eq(taken),
        ]
        for client, request in reversed(list(enumerate(self.requests_i))):
            m.d.comb += request.ready.eq(room & ~valids[:client].any())
            with m.If(request.valid):
                m.d.comb += [chosen.eq(request.p), entry.client.eq(client)]
        address = Signal(BurstRequest(config.axi_addr_width), reset_less=True)
        with m.If(taken):
            m.d.sync += [address.eq(chosen), axi.arvalid.eq(1)]
        with m.Elif(axi.arready):
            m.d.sync += axi.arvalid.eq(0)
        m.d.comb += [
            axi.araddr.eq(address.addr),
            axi.arlen.eq(address.beats - 1),
            axi.arsize.eq(beat_size(config)),
            axi.arburst.eq(BURST_INCR),
            axi.arcache.eq(CACHE_MODIFIABLE),
            self.idle.eq(~axi.arvalid & ~owners.r_rdy),
        ]

        # R to the owner of the oldest burst
        owner = Signal(owner_layout)
        bad = axi.rresp[RESPONSE_ERROR_BIT]
        owner_ready = Signal()
        m.d.comb += owner.eq(owners.r_data)
        for client, beat in enumerate(self.data_i):
            m.d.comb += [beat.p.data.eq(axi.rdata), beat.p.last.eq(axi.rlast)]
            with m.If(owner.client == client):
                m.d.comb += [
                    beat.valid.eq(axi.rvalid & owners.r_rdy & ~stop & ~bad),
                    owner_ready.eq(beat.ready),
                ]
        position = Signal(range(MAX_BURST_BEATS))
        m.d.comb += [
            axi.rready.eq(owners.r_rdy & (stop | owner_ready)),
            self.beat.eq(axi.rvalid & axi.rready),
            owners.r_en.eq(self.beat & axi.rlast),
        ]
        with m.If(self.beat):
            m.d.sync += position.eq(Mux(axi.rlast, 0, position + 1))

        # The first bad response
        error = Signal(BusError(config.axi_addr_width), reset_less=True)
        m.d.comb += self.error.eq(error)
        m.d.sync += self.error_valid.eq(self.beat & bad & ~stop)
        with m.If(self.beat & bad & ~stop):
            decode = axi.rresp[RESPONSE_DECODE_BIT]
            m.d.sync += [
                failed.eq(1),
                error.code.eq(Mux(decode, ErrorCode.READ_DECODE, ErrorCode.READ_SLAVE)),
                error.addr.eq(owner.addr + bytes_of_beats(config, position)),
                error.tag.eq(owner.tag),
            ]
        with m.If(self.halt & self.idle):
            m.d.sync += failed.eq(0)
        return m
