"""Types of the core's bus side: AXI signatures, burst requests, stream payloads. One object for both ends of a wire."""

from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import MAX_BURST_BEATS, CoreConfig
from ssvq_gen.format import ErrorCode, Residency

TAG_WIDTH = 16
"""Bits of a tag: the index of the descriptor that a transfer serves."""
BURST_BEATS_WIDTH = MAX_BURST_BEATS.bit_length()
"""Bits of a burst's beat count, 1..MAX_BURST_BEATS."""
COMMAND_BEATS_WIDTH = 30
"""Bits of a command's beat count: all of the 32-bit window in the narrowest beats, of 4 bytes."""
ERROR_CODE_WIDTH = max(ErrorCode).bit_length()
RESIDENCY_WIDTH = max(Residency).bit_length()

BURST_INCR = 0b01
CACHE_MODIFIABLE = 0b0011
"""AxCACHE of all transfers: normal, non-cacheable, bufferable, so that interconnects may merge and widen."""
RESPONSE_WIDTH = 2
RESPONSE_ERROR_BIT = 1
"""Set in SLVERR and DECERR, clear in OKAY and EXOKAY."""
RESPONSE_DECODE_BIT = 0
"""Tells DECERR from SLVERR."""


def activation_addr_width(config: CoreConfig) -> int:
    """Bits of the address of a word in the activation memory."""
    return (config.activation_depth - 1).bit_length()


def activation_count_width(config: CoreConfig) -> int:
    """Bits of a number of activation memory words, all of them included."""
    return config.activation_depth.bit_length()


def beats_of_words(config: CoreConfig, words: Value) -> Value:
    """Bus beats that hold `words` words of the activation memory, the last one perhaps in part."""
    return (words.shift_left(_log2(config.word_bytes)) + config.beat_bytes - 1).shift_right(_log2(config.beat_bytes))


def bytes_of_beats(config: CoreConfig, beats: Value) -> Value:
    """Bytes of `beats` whole beats."""
    return beats.shift_left(_log2(config.beat_bytes))


def beat_size(config: CoreConfig) -> int:
    """AxSIZE of a whole beat."""
    return _log2(config.beat_bytes)


def _log2(value: int) -> int:
    return value.bit_length() - 1


class BurstRequest(data.StructLayout):
    """One AXI burst: byte address of its first beat, beats 1..MAX_BURST_BEATS, tag."""

    def __init__(self, addr_width: int) -> None:
        super().__init__({"addr": addr_width, "beats": BURST_BEATS_WIDTH, "tag": TAG_WIDTH})


class ReadBeat(data.StructLayout):
    """A beat of read data; `last` marks the last beat of the burst."""

    def __init__(self, data_width: int) -> None:
        super().__init__({"data": data_width, "last": 1})


class StreamCommand(data.StructLayout):
    """A run of beats from a 64-byte aligned byte address; `beats` is at least 1."""

    def __init__(self, addr_width: int) -> None:
        super().__init__({"addr": addr_width, "beats": COMMAND_BEATS_WIDTH, "tag": TAG_WIDTH})


class WeightCommand(data.StructLayout):
    """A StreamCommand with a Residency and the first beat of its range in the weight cache.

    Of a REUSE, `addr` is ignored; of a NONE, and in cores without a weight cache, `cache_beat`.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "addr": config.axi_addr_width,
                "beats": COMMAND_BEATS_WIDTH,
                "tag": TAG_WIDTH,
                "residency": RESIDENCY_WIDTH,
                "cache_beat": range(max(config.weight_cache_depth, 2)),
            }
        )


class StreamWord(data.StructLayout):
    """A word of a stream; `last` marks the last word of the command that `tag` belongs to."""

    def __init__(self, width: int) -> None:
        super().__init__({"data": width, "last": 1, "tag": TAG_WIDTH})


class LoadCommand(data.StructLayout):
    """Copy `words` (at least 1) from DRAM `addr` (64-byte aligned) to activation word `destination` and after."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "addr": config.axi_addr_width,
                "destination": activation_addr_width(config),
                "words": activation_count_width(config),
                "tag": TAG_WIDTH,
            }
        )


class StoreCommand(data.StructLayout):
    """Copy `words` (at least 1) from activation word `source` and after to DRAM `addr` (64-byte aligned)."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "addr": config.axi_addr_width,
                "source": activation_addr_width(config),
                "words": activation_count_width(config),
                "tag": TAG_WIDTH,
            }
        )


class MemoryWrite(data.StructLayout):
    """A whole word written to the activation memory."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__({"addr": activation_addr_width(config), "data": 8 * config.word_bytes})


class BusError(data.StructLayout):
    """A failed transfer: ErrorCode, the byte address and the tag of its command."""

    def __init__(self, addr_width: int) -> None:
        super().__init__({"code": ERROR_CODE_WIDTH, "addr": addr_width, "tag": TAG_WIDTH})


class Axi4ReadSignature(wiring.Signature):
    """AR and R channels of AXI4 as the manager sees them, with a 1-bit ID that is always 0."""

    def __init__(self, addr_width: int, data_width: int) -> None:
        super().__init__(
            {
                "arid": Out(1),
                "araddr": Out(addr_width),
                "arlen": Out(8),
                "arsize": Out(3),
                "arburst": Out(2),
                "arlock": Out(1),
                "arcache": Out(4),
                "arprot": Out(3),
                "arqos": Out(4),
                "arvalid": Out(1),
                "arready": In(1),
                "rid": In(1),
                "rdata": In(data_width),
                "rresp": In(RESPONSE_WIDTH),
                "rlast": In(1),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class Axi4WriteSignature(wiring.Signature):
    """AW, W and B channels of AXI4 as the manager sees them, with a 1-bit ID that is always 0."""

    def __init__(self, addr_width: int, data_width: int) -> None:
        super().__init__(
            {
                "awid": Out(1),
                "awaddr": Out(addr_width),
                "awlen": Out(8),
                "awsize": Out(3),
                "awburst": Out(2),
                "awlock": Out(1),
                "awcache": Out(4),
                "awprot": Out(3),
                "awqos": Out(4),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(data_width),
                "wstrb": Out(data_width // 8),
                "wlast": Out(1),
                "wvalid": Out(1),
                "wready": In(1),
                "bid": In(1),
                "bresp": In(RESPONSE_WIDTH),
                "bvalid": In(1),
                "bready": Out(1),
            }
        )


class AxiLiteSignature(wiring.Signature):
    """AXI4-Lite with 32-bit data as the manager sees it; a subordinate takes ``In(AxiLiteSignature(...))``."""

    def __init__(self, addr_width: int) -> None:
        super().__init__(
            {
                "awaddr": Out(addr_width),
                "awprot": Out(3),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(32),
                "wstrb": Out(4),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(RESPONSE_WIDTH),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(addr_width),
                "arprot": Out(3),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(32),
                "rresp": In(RESPONSE_WIDTH),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class RegisterBusSignature(wiring.Signature):
    """Register accesses as the host's side sees them; addresses are byte offsets, multiples of 4.

    A write happens in the cycle of `write_en`; `read_data` is valid in the cycle after `read_en`.
    """

    def __init__(self, addr_width: int) -> None:
        super().__init__(
            {
                "write_en": Out(1),
                "write_addr": Out(addr_width),
                "write_data": Out(32),
                "write_mask": Out(4),
                "read_en": Out(1),
                "read_addr": Out(addr_width),
                "read_data": In(32),
            }
        )
