"""On-chip memory of int8 activations, and the ports that its clients have of it."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import ACTIVATION_BANKS, CoreConfig

from .checks import require_config, require_range

MAX_CLIENTS = 8
"""Most readers, and most writers: grants and addresses of all of them are chosen between in one cycle."""

_BANK_BITS = (ACTIVATION_BANKS - 1).bit_length()


class ReadPort(wiring.Signature):
    """Reads of the activation memory as a client sees them.

    en, addr : request; without `ready` it has no effect, and may be repeated, changed or withdrawn
    ready : the request is granted in this cycle (combinational, never without `en`)
    data : the word, in the cycle after a granted request and only then
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "en": Out(1),
                "addr": Out(range(config.activation_depth)),
                "ready": In(1),
                "data": In(8 * config.word_bytes),
            }
        )


class WritePort(wiring.Signature):
    """Writes to the activation memory as a client sees them.

    en, addr, data : request; without `ready` it has no effect, and may be repeated, changed or withdrawn
    mask : groups of `write_lanes` channels that are written
    ready : the request is granted in this cycle (combinational, never without `en`)
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "en": Out(1),
                "addr": Out(range(config.activation_depth)),
                "data": Out(8 * config.word_bytes),
                "mask": Out(config.word_bytes // config.write_lanes),
                "ready": In(1),
            }
        )


class ActivationMemory(wiring.Component):
    """`activation_depth` words of `word_bytes` bytes in `ACTIVATION_BANKS` banks, by the lowest bits of the address.

    In a cycle every bank serves one read and one write: of the requests for it, the one of lowest index. Requests for
    different banks do not meet, so index 0 is always granted.

    Latency: 1 cycle from a granted read to its `data`; a read sees the writes of all cycles before, not those of its
    own. One read and one write a cycle and bank.

    Parameters
    ----------
    config : core configuration
    readers, writers : number of clients, 1 to `MAX_CLIENTS`

    Members
    -------
    reads : array of ReadPort, seen from this side
    writes : array of WritePort, seen from this side
    """

    def __init__(self, *, config: CoreConfig, readers: int, writers: int) -> None:
        self._config = config = require_config(config)
        self._readers = require_range("readers", readers, 1, MAX_CLIENTS)
        self._writers = require_range("writers", writers, 1, MAX_CLIENTS)
        super().__init__(
            {
                "reads": In(ReadPort(config)).array(readers),
                "writes": In(WritePort(config)).array(writers),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        reads = [self.reads[i] for i in range(self._readers)]
        writes = [self.writes[i] for i in range(self._writers)]
        grants = []
        words = []
        for number in range(ACTIVATION_BANKS):
            m.submodules[f"bank{number}"] = bank = Memory(
                shape=8 * config.word_bytes, depth=config.activation_depth // ACTIVATION_BANKS, init=[]
            )
            read = bank.read_port()
            write = bank.write_port(granularity=8 * config.write_lanes)
            words.append(read.data)

            reads_here = self._requests(m, reads, number, "reads")
            writes_here = self._requests(m, writes, number, "writes")
            reads_granted = Signal.like(reads_here, name=f"reads_granted{number}")
            writes_granted = Signal.like(writes_here, name=f"writes_granted{number}")
            grants.append((reads_granted, writes_granted))
            m.d.comb += read.en.eq(reads_here.any())
            for i, port in enumerate(reads):
                with m.If(reads_here[i]) if i == 0 else m.Elif(reads_here[i]):
                    m.d.comb += [reads_granted[i].eq(1), read.addr.eq(port.addr[_BANK_BITS:])]
            for i, port in enumerate(writes):
                with m.If(writes_here[i]) if i == 0 else m.Elif(writes_here[i]):
                    m.d.comb += [
                        writes_granted[i].eq(1),
                        write.en.eq(port.mask),
                        write.addr.eq(port.addr[_BANK_BITS:]),
                        write.data.eq(port.data),
                    ]

        # All banks' words go to every reader, which knows whose word it is waiting for.
        for i, port in enumerate(reads):
            bank_read = Signal(_BANK_BITS, reset_less=True, name=f"bank_read{i}")
            m.d.sync += bank_read.eq(port.addr)
            m.d.comb += [
                port.data.eq(Cat(words).word_select(bank_read, 8 * config.word_bytes)),
                port.ready.eq(Cat(reads_granted[i] for reads_granted, _ in grants).any()),
            ]
        for i, port in enumerate(writes):
            m.d.comb += port.ready.eq(Cat(writes_granted[i] for _, writes_granted in grants).any())
        return m

    @staticmethod
    def _requests(m: Module, ports: list[Any], bank: int, name: str) -> Signal:
        """Requests of `ports` for a bank, a bit each."""
        here = Signal(len(ports), name=f"{name}_here{bank}")
        m.d.comb += here.eq(Cat(port.en & (port.addr[:_BANK_BITS] == bank) for port in ports))
        return here
