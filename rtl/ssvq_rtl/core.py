"""The core: the top of the generated Verilog."""

from amaranth.hdl import Cat, ClockDomain, Module, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Flow, In, Out, connect

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import ErrorCode
from ssvq_gen.registers import AXIL_ADDR_WIDTH

from .activation_memory import ActivationMemory
from .axi_lite import AxiLiteSlave
from .bus import Axi4ReadSignature, Axi4WriteSignature, AxiLiteSignature
from .checks import require_config
from .descriptor import INDEX_WIDTH
from .descriptor_fetch import DescriptorFetch
from .dispatcher import Dispatcher
from .executor import Executor
from .job_control import JobControl
from .load import LoadEngine
from .matmul import MatmulEngine
from .monitor import Monitor
from .read_arbiter import ReadArbiter
from .register_file import RegisterFile
from .resize import StreamResizer
from .store import StoreEngine
from .vector import VectorEngine
from .weight_stream import WeightStream

_DESCRIPTORS, _WEIGHTS, _LOAD = range(3)
"""Clients of the read port, highest priority first: weights ask for no more than their buffer takes, and what they
leave is enough for a LOAD that runs while the array computes."""
_READ_STORE, _READ_OPERAND, _READ_ARRAY, _READ_VECTOR = range(4)
"""Readers of the activation memory, highest priority first: the array reads most, those before it seldom, and the
vector unit what the array leaves."""
_WRITE_OUTPUT, _WRITE_VECTOR, _WRITE_LOAD = range(3)
"""Writers of the activation memory, highest priority first: the requantizer cannot wait."""


def _flat(prefix: str, signature: wiring.Signature) -> dict[str, wiring.Member]:
    """Members of an AXI signature as ports of the top."""
    return {f"{prefix}_{name}": member for name, member in signature.members.items()}


class SsvqCore(wiring.Component):
    """The whole core with flat ports: `aclk`, `aresetn`, `irq`, `s_axil_*` and `m_axi_*`.

    `aresetn` is active low and synchronous to `aclk`; all ports belong to `aclk`.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        addr, width = config.axi_addr_width, config.axi_data_width
        super().__init__(
            {
                "aclk": In(1),
                "aresetn": In(1),
                "irq": Out(1),
                **_flat("s_axil", AxiLiteSignature(AXIL_ADDR_WIDTH).flip()),
                **_flat("m_axi", Axi4ReadSignature(addr, width)),
                **_flat("m_axi", Axi4WriteSignature(addr, width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.domains.sync = clock = ClockDomain()
        m.d.comb += [clock.clk.eq(self.aclk), clock.rst.eq(~self.aresetn)]

        axil = AxiLiteSlave()
        registers = RegisterFile(config=config)
        control = JobControl(config=config)
        monitor = Monitor(config=config)
        arbiter = ReadArbiter(config=config, clients=3)
        store = StoreEngine(config=config)
        fetch = DescriptorFetch(config=config)
        dispatcher = Dispatcher(config=config)
        executor = Executor(config=config)
        load = LoadEngine(config=config)
        weights = WeightStream(config=config)
        resizer = StreamResizer(config=config)
        matmul = MatmulEngine(config=config)
        vector = VectorEngine(config=config) if config.vector else None
        memory = ActivationMemory(config=config, readers=4, writers=3)

        # What tracks the bus and the job outlives a failed job; the engines are reset with every job.
        m.submodules.axil = axil
        m.submodules.registers = registers
        m.submodules.control = control
        m.submodules.monitor = monitor
        m.submodules.arbiter = arbiter
        m.submodules.store = store
        m.submodules.activations = memory
        flush = Signal()
        m.d.comb += flush.eq(control.flush)
        for name, engine in {
            "fetch": fetch,
            "dispatcher": dispatcher,
            "executor": executor,
            "load": load,
            "weights": weights,
            "resizer": resizer,
            "matmul": matmul,
            **({"vector": vector} if vector is not None else {}),
        }.items():
            m.submodules[name] = ResetInserter(flush)(engine)

        self._connect_ports(m, "s_axil", axil.axi)
        self._connect_ports(m, "m_axi", arbiter.axi)
        self._connect_ports(m, "m_axi", store.axi)

        connect(m, axil.bus, registers.bus)
        self._connect_job(m, registers, control, executor, fetch)
        for client, engine in ((_DESCRIPTORS, fetch), (_WEIGHTS, weights), (_LOAD, load)):
            connect(m, engine.requests, arbiter.requests_i[client])
            connect(m, arbiter.data_i[client], engine.data)
        connect(m, fetch.o, dispatcher.descriptors)
        connect(m, dispatcher.weight_commands, weights.commands)
        connect(m, dispatcher.layers, matmul.layers)
        connect(m, dispatcher.o, executor.descriptors)
        connect(m, weights.o, resizer.i)
        connect(m, resizer.o, matmul.weights)
        connect(m, executor.load_commands, load.commands)
        connect(m, executor.store_commands, store.commands)
        connect(m, executor.feed_commands, matmul.feed_commands)
        connect(m, executor.writeback_commands, matmul.writeback_commands)
        connect(m, executor.operand_commands, matmul.operand_commands)
        self._connect_memory(m, memory, load, store, matmul)

        m.d.comb += [
            dispatcher.memory_base.eq(registers.memory_base),
            dispatcher.memory_size.eq(registers.memory_size),
            executor.memory_base.eq(registers.memory_base),
            executor.load_done.eq(load.done),
            executor.store_done.eq(store.done),
            executor.matmul_done.eq(matmul.status.ends),
            arbiter.halt.eq(control.halt),
            store.halt.eq(control.halt),
            control.bus_idle.eq(arbiter.idle & store.idle),
            control.quiet.eq(control.bus_idle & ~matmul.unpacking),
        ]
        progress = [arbiter.beat, store.beat, matmul.progress, load.write.valid]
        if vector is not None:
            self._connect_vector(m, vector, executor, memory, monitor)
            progress.append(vector.progress)
        m.d.comb += control.progress.eq(Cat(progress).any())
        self._collect_errors(m, control, executor, arbiter, store, matmul, vector)

        self._connect_monitor(m, monitor, registers, control, executor, matmul, load, store, weights, arbiter)
        return m

    def _connect_ports(self, m: Module, prefix: str, interface: wiring.PureInterface) -> None:
        for name, member in interface.signature.members.items():
            port, inner = getattr(self, f"{prefix}_{name}"), getattr(interface, name)
            m.d.comb += port.eq(inner) if member.flow is Flow.Out else inner.eq(port)

    def _connect_job(
        self,
        m: Module,
        registers: RegisterFile,
        control: JobControl,
        executor: Executor,
        fetch: DescriptorFetch,
    ) -> None:
        done_count = Signal(INDEX_WIDTH)  # the host reads it after the executor's reset
        with m.If(control.begins):
            m.d.sync += done_count.eq(0)
        with m.Elif(control.busy):
            ends = (executor.load_done, executor.store_done, executor.matmul_done, executor.vector_done)
            m.d.sync += done_count.eq(done_count + sum(ends))
        m.d.comb += [
            self.irq.eq(registers.irq),
            control.start.eq(registers.start),
            control.clear.eq(registers.clear),
            control.abort.eq(registers.abort),
            control.memory_base.eq(registers.memory_base),
            control.memory_size.eq(registers.memory_size),
            control.descriptor_offset.eq(registers.descriptor_offset),
            control.descriptor_count.eq(registers.descriptor_count),
            control.watchdog_cycles.eq(registers.watchdog_cycles),
            control.finished.eq(executor.finished),
            control.index.eq(executor.oldest),
            fetch.start.eq(control.fetch_start),
            fetch.addr.eq(registers.memory_base + registers.descriptor_offset),
            fetch.count.eq(registers.descriptor_count),
            registers.busy.eq(control.busy),
            registers.done.eq(control.done),
            registers.error.eq(control.failed),
            registers.draining.eq(control.draining),
            registers.done_event.eq(control.done_event),
            registers.error_event.eq(control.error_event),
            registers.error_code.eq(control.first_error.code),
            registers.error_descriptor.eq(control.first_error.descriptor),
            registers.error_addr.eq(control.first_error.addr),
            registers.descriptors_done.eq(done_count),
        ]

    def _connect_monitor(
        self,
        m: Module,
        monitor: Monitor,
        registers: RegisterFile,
        control: JobControl,
        executor: Executor,
        matmul: MatmulEngine,
        load: LoadEngine,
        store: StoreEngine,
        weights: WeightStream,
        arbiter: ReadArbiter,
    ) -> None:
        transfers = monitor.transfers
        m.d.comb += [
            monitor.begins.eq(control.begins),
            monitor.running.eq(control.busy),
            monitor.matmul.eq(matmul.status),
            monitor.taken.eq(weights.o.valid & weights.o.ready),
            monitor.stalled.eq(weights.o.valid & ~weights.o.ready & matmul.streaming),
            monitor.draining.eq(executor.matmuls != 0),
            monitor.beats.weight_beats.eq(weights.beat),
            monitor.beats.read_beats.eq(arbiter.beat),
            monitor.beats.write_beats.eq(store.beat),
            transfers.loading.eq(executor.loads != 0),
            transfers.storing.eq(executor.stores != 0),
            transfers.load_begins.eq(executor.load_begins),
            transfers.store_begins.eq(executor.store_begins),
            transfers.begins_index.eq(executor.index),
            transfers.load_ends.eq(load.done),
            transfers.load_ends_index.eq(load.done_tag),
            transfers.store_ends.eq(store.done),
            transfers.store_ends_index.eq(store.done_tag),
            monitor.profile_addr.eq(registers.profile_addr),
            registers.profile_data.eq(monitor.profile_data),
            registers.counters.eq(monitor.values),
            matmul.hold.eq(monitor.hold),
        ]

    def _connect_vector(
        self, m: Module, vector: VectorEngine, executor: Executor, memory: ActivationMemory, monitor: Monitor
    ) -> None:
        connect(m, executor.vector_commands, vector.commands)
        connect(m, vector.read, memory.reads[_READ_VECTOR])
        connect(m, vector.write, memory.writes[_WRITE_VECTOR])
        m.d.comb += [
            executor.vector_done.eq(vector.ends),
            monitor.transfers.computing.eq(executor.vectors != 0),
            monitor.transfers.vector_begins.eq(executor.vector_begins),
            monitor.transfers.vector_ends.eq(vector.ends),
            monitor.transfers.vector_ends_index.eq(vector.ends_index),
        ]

    def _connect_memory(
        self, m: Module, memory: ActivationMemory, load: LoadEngine, store: StoreEngine, matmul: MatmulEngine
    ) -> None:
        store_read = memory.reads[_READ_STORE]  # always granted, as the first
        connect(m, matmul.operand_read, memory.reads[_READ_OPERAND])
        connect(m, matmul.read, memory.reads[_READ_ARRAY])
        connect(m, matmul.write, memory.writes[_WRITE_OUTPUT])
        load_write = memory.writes[_WRITE_LOAD]
        m.d.comb += [
            store_read.en.eq(store.read_en),
            store_read.addr.eq(store.read_addr),
            store.read_data.eq(store_read.data),
            load_write.en.eq(load.write.valid),
            load_write.addr.eq(load.write.payload.addr),
            load_write.data.eq(load.write.payload.data),
            load_write.mask.eq(~0),
            load.write.ready.eq(load_write.ready),
        ]

    def _collect_errors(
        self,
        m: Module,
        control: JobControl,
        executor: Executor,
        arbiter: ReadArbiter,
        store: StoreEngine,
        matmul: MatmulEngine,
        vector: VectorEngine | None,
    ) -> None:
        """Errors of one cycle in order of priority; the transfer that failed before what it may have led to."""
        sources: list[tuple[Value, Value | ErrorCode, Value, Value | int]] = [
            (arbiter.error_valid, arbiter.error.code, arbiter.error.tag, arbiter.error.addr),
            (store.error_valid, store.error.code, store.error.tag, store.error.addr),
            (executor.error_code != ErrorCode.NONE, executor.error_code, executor.index, executor.error_addr),
            (matmul.stream_error, ErrorCode.WEIGHT_LENGTH, matmul.stream_tag, 0),
            (matmul.range_error, ErrorCode.ACTIVATION_RANGE, matmul.range_index, matmul.range_addr),
        ]
        if vector is not None:
            sources.append((vector.error, ErrorCode.ACTIVATION_RANGE, vector.error_index, vector.error_addr))
        for valid, code, descriptor, addr in reversed(sources):
            with m.If(valid):
                m.d.comb += [
                    control.error_valid.eq(1),
                    control.error.code.eq(code),
                    control.error.descriptor.eq(descriptor),
                    control.error.addr.eq(addr),
                ]
