# amaranth: UnusedElaboratable=no
"""No job gets stuck: with fair neighbours every wait is bounded, and after an error and a clear all is as it began."""

from __future__ import annotations

from functools import partial

from amaranth.hdl import Assert, Assume, Cat, Const, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_gen.format import (
    DESCRIPTOR_BYTES,
    DRAM_ALIGNMENT,
    MATRIX_OPCODES,
    STREAM_OPCODES,
    VECTOR_OPCODES,
    ErrorCode,
    Opcode,
)
from ssvq_rtl.bus import ERROR_CODE_WIDTH, TAG_WIDTH
from ssvq_rtl.dispatcher import QUEUE_DEPTH, CheckedDescriptor, Dispatcher
from ssvq_rtl.executor import Executor
from ssvq_rtl.job_control import JobControl, JobError

from .proof import Method, Proof, any_in_every_cycle, itself
from .rules import Shown, any_input, any_ready, before, flat, moves, never_reset, patient, within

PATIENCE = 2
"""Cycles in which a fair neighbour does what is waited for."""
WATCHDOG = 3
_PULSES = ("start", "clear", "abort", "finished", "error_valid", "progress", "bus_idle", "quiet")
_REGISTERS = ("memory_base", "memory_size", "descriptor_offset", "descriptor_count", "error", "index")
_ENGINE_LIMIT = 2
"""Commands that an engine holds at most."""


class Job(Shown):
    """Job control with any registers, pulses and errors, and a watchdog of `WATCHDOG` cycles."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config, {"idle_cycles": 32})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = JobControl(config=self._config)
        never_reset(m)
        for name in _PULSES + _REGISTERS:
            port = flat(getattr(dut, name))
            m.d.comb += port.eq(any_in_every_cycle(m, len(port), name))
        m.d.comb += [dut.watchdog_cycles.eq(WATCHDOG), Assume(~dut.quiet | dut.bus_idle)]
        state = Cat(dut.busy, dut.done, dut.failed)
        idle = ~state.any()
        fails = dut.error_event
        first, reason = Signal(JobError()), self._reason(m, dut)
        waits_for_clear = (dut.done | dut.failed) & ~dut.draining
        with m.If(fails):
            m.d.sync += flat(first).eq(flat(reason))
        failed_since, failed_before = Signal(), before(m, fails, "failed")
        with m.If(fails):
            m.d.sync += failed_since.eq(1)
        with m.Elif(dut.clear & waits_for_clear):
            m.d.sync += failed_since.eq(0)
        fair = patient(m, dut.draining & ~dut.bus_idle, PATIENCE, "bus")
        m.d.comb += [
            Assert((dut.busy + dut.done + dut.failed) <= 1),
            Assert(~dut.begins | idle),
            # From the error to the reset of the engines no burst begins, and these are reset with nothing open.
            Assert(~failed_before | dut.halt),
            Assert(dut.failed == failed_since),
            Assert(~(dut.flush & dut.draining) | before(m, dut.bus_idle, "bus_idle")),
            Assert(~before(m, dut.draining & ~dut.flush, "draining") | dut.halt),
            Assert(~(dut.done_event | dut.error_event) | dut.busy),
            # The first error is shown until it is cleared.
            Assert(~dut.failed | (flat(dut.first_error) == flat(first))),
            # Without a job everything is as it was in the beginning.
            Assert(~idle | (flat(dut.first_error) == 0)),
            Assert(~idle | ~(dut.halt | dut.flush | dut.draining | dut.fetch_start)),
            # What the descriptor fetch relies on.
            Assert(~dut.fetch_start | before(m, dut.flush & self._table_fits(dut), "fits")),
            Assert(~(idle & before(m, idle, "idle")) | (self.see("idle_cycles") == 0)),
        ]
        completed = Signal()
        with m.If(dut.fetch_start | ~dut.busy):
            m.d.sync += completed.eq(0)
        with m.Elif(dut.finished):
            m.d.sync += completed.eq(1)
        within(m, completed & dut.busy & dut.quiet, 1, "completed")
        within(m, dut.busy & ~dut.progress, WATCHDOG + 3, "busy")
        within(m, fair & dut.draining, PATIENCE + 2, "drain")
        within(m, waits_for_clear & dut.clear, 1, "clear")
        return m

    def _reason(self, m: Module, dut: JobControl) -> data.View[JobError]:
        """The error that ends a job in this cycle: in its first one that of the registers, later of an engine, the host
        or the watchdog. An abort is not lost in the two cycles in which a job starts."""
        starts, waited = before(m, dut.begins, "begins"), Signal(name="abort_waited")
        silent = Signal(range(WATCHDOG + 1), name="silent")  # cycles without progress
        with m.If(dut.progress | ~dut.busy):
            m.d.sync += silent.eq(0)
        with m.Elif(silent != WATCHDOG):
            m.d.sync += silent.eq(silent + 1)
        no_count = (dut.descriptor_count == 0) | (dut.descriptor_count >= 1 << TAG_WIDTH)
        reason = Signal(JobError(), name="reason")
        m.d.sync += waited.eq((starts | dut.fetch_start) & (dut.abort | waited))
        given = dut.error_valid | dut.abort | waited
        m.d.comb += [
            Assert(~starts | (dut.error_event == ~self._table_fits(dut))),
            Assert(~(dut.busy & ~starts & ~dut.fetch_start & given) | dut.error_event),
            Assert(~(dut.error_event & ~starts & ~given) | (silent == WATCHDOG)),
        ]
        with m.If(starts):
            m.d.comb += [
                reason.code.eq(Mux(no_count, ErrorCode.BAD_DESCRIPTOR, ErrorCode.DRAM_RANGE)),
                reason.addr.eq(dut.memory_base + dut.descriptor_offset),
            ]
        with m.Elif(dut.error_valid):
            m.d.comb += flat(reason).eq(flat(dut.error))
        with m.Else():
            m.d.comb += [
                reason.code.eq(Mux(dut.abort | waited, ErrorCode.ABORTED, ErrorCode.WATCHDOG)),
                reason.descriptor.eq(dut.index),
            ]
        return reason

    def _table_fits(self, dut: JobControl) -> Value:
        """The registers, which do not change during a job, have a table of descriptors inside of the window."""
        offset, count = dut.descriptor_offset, dut.descriptor_count
        inside = offset + count * DESCRIPTOR_BYTES <= dut.memory_size
        reached = dut.memory_base + dut.memory_size <= 1 << self._config.axi_addr_width
        fits: Value = inside & reached & (offset % DRAM_ALIGNMENT == 0) & (count > 0) & (count < 1 << TAG_WIDTH)
        return fits


class Dispatching(Shown):
    """A dispatcher with any descriptors and any result of their check, whose neighbours take what it offers."""

    _QUEUES = ("queue", "layer_queue")

    def __init__(self, config: CoreConfig) -> None:
        queues = dict.fromkeys((f"{queue}.{end}" for queue in self._QUEUES for end in ("w_en", "w_rdy")), 1)
        codes = dict.fromkeys(("current.code", "check.code"), ERROR_CODE_WIDTH)
        super().__init__(config, {**codes, **queues})
        self.cuts = ("dut.check.code",)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = Dispatcher(config=self._config)
        never_reset(m)
        any_input(m, dut.descriptors, "descriptors")
        fair: Value = Const(1)
        for name in ("weight_commands", "layers", "o"):
            offers = getattr(dut, name)
            any_ready(m, offers, name)
            fair = fair & patient(m, offers.valid & ~offers.ready, PATIENCE, name)
        inside = Signal(range(QUEUE_DEPTH + 3))
        m.d.sync += inside.eq(inside + moves(dut.descriptors) - moves(dut.o))
        writes = {name: self.see(f"{name}.w_en") & self.see(f"{name}.w_rdy") for name in self._QUEUES}
        opcode, had_one = Signal.like(dut.descriptors.p.fields.opcode), Signal()  # of the descriptor in hand
        with m.If(moves(dut.descriptors)):
            m.d.sync += [opcode.eq(dut.descriptors.p.fields.opcode), had_one.eq(1)]
        has_weights = Cat(opcode == one for one in STREAM_OPCODES).any()
        needs = {"queue": Const(1), "layer_queue": has_weights | (opcode == Opcode.PRODUCT), "weights": has_weights}
        for name, happens in {**writes, "weights": moves(dut.weight_commands)}.items():
            once = Signal(name=f"{name}_once")  # since the descriptor was taken
            m.d.sync += once.eq(~moves(dut.descriptors) & (once | happens))
            m.d.comb += Assert(~(once & happens))
            m.d.comb += Assert(~(dut.descriptors.ready & had_one) | (once == needs[name]))
        code = Signal(ERROR_CODE_WIDTH, name="found")  # by the check, in the cycle after the descriptor was taken
        with m.If(before(m, moves(dut.descriptors), "taken")):
            m.d.sync += code.eq(self.see("check.code"))
        m.d.comb += Assert(self.see("current.code") == code)
        stopped = code != ErrorCode.NONE
        waits = dut.descriptors.valid & ~dut.descriptors.ready
        # Its check and its place in a queue, what the weight stream pauses, and its place in the other queue.
        within(m, fair & waits & ~stopped, 4 + 3 * (PATIENCE + 1), "descriptor")
        within(m, fair & (inside != 0) & ~dut.o.valid, 3, "output")
        m.d.comb += [
            Assert(inside <= QUEUE_DEPTH + 1),
            Assert(~moves(dut.o) | (inside != 0)),
            Assert(~(stopped & dut.descriptors.ready)),
            Assert(~before(m, stopped, "stopped") | stopped),
        ]
        return m


class Executing(Elaboratable):
    """An executor with any checked descriptors, whose engines take what they have room for and complete it."""

    def __init__(self, config: CoreConfig) -> None:
        self._config = config

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = Executor(config=self._config)
        never_reset(m)
        descriptors, taken = dut.descriptors, moves(dut.descriptors)
        any_input(m, descriptors, "descriptors")
        m.d.comb += dut.memory_base.eq(any_in_every_cycle(m, 64, "memory_base"))
        known = (Opcode.LOAD, Opcode.STORE, *MATRIX_OPCODES, *VECTOR_OPCODES)
        opcode = descriptors.p.descriptor.fields.opcode
        good = descriptors.p.code == ErrorCode.NONE
        running, stopped = Signal(), Signal()
        with m.If(taken & ~good):
            m.d.sync += stopped.eq(1)
        with m.If(taken & good & descriptors.p.descriptor.last):
            m.d.sync += running.eq(1)
        with m.Elif(dut.finished):
            m.d.sync += running.eq(0)
        m.d.comb += [
            Assume(~good | Cat(opcode == one for one in known).any()),  # as the check has it
            Assume(~(descriptors.valid & running)),
        ]
        fair, open_kinds = self._engines(m, dut)
        ending = _ENGINE_LIMIT * (PATIENCE + 1)
        begins = 2 + ending + PATIENCE + 1
        within(m, fair & descriptors.valid & ~descriptors.ready & ~stopped, begins, "descriptor")
        within(m, fair & running & ~stopped, begins + ending + 3, "job")
        current = Signal(CheckedDescriptor(), name="held")
        with m.If(taken):
            m.d.sync += flat(current).eq(flat(descriptors.p))
        fields = current.descriptor.fields
        word = Mux(fields.opcode == Opcode.LOAD, fields.destination, fields.source)
        place = Mux(current.code == ErrorCode.ACTIVATION_RANGE, word, dut.memory_base + fields.dram_offset)
        fails = dut.error_code != ErrorCode.NONE
        begins, with_operand = moves(dut.feed_commands), fields.opcode == Opcode.PRODUCT
        m.d.comb += [
            Assert(~dut.finished | running),
            Assert(~dut.finished | before(m, ~open_kinds, "idle")),
            Assert(~fails | (stopped & ~open_kinds & (dut.error_code == current.code))),
            Assert(~fails | (dut.error_addr == place[:64])),
            Assert(~(stopped & descriptors.ready)),
            # A matrix descriptor is a command for each of those that it needs, at the same time.
            Assert(begins == moves(dut.writeback_commands)),
            Assert((begins & with_operand) == moves(dut.operand_commands)),
        ]
        return m

    def _engines(self, m: Module, dut: Executor) -> tuple[Value, Value]:
        """Engines hold two commands at most and complete each; returns that they were fair, and that one is open."""
        matrix = (dut.feed_commands, dut.writeback_commands, dut.operand_commands)
        for number, commands in enumerate(matrix):
            any_ready(m, commands, f"matrix{number}")
        matrix_ready = Cat(commands.ready for commands in matrix).all()
        m.d.comb += Assert(~dut.operand_commands.valid | dut.feed_commands.valid)
        m.d.comb += Assert(dut.feed_commands.valid == dut.writeback_commands.valid)
        fair: Value = Const(1)
        open_kinds: Value = Const(0)
        for name, commands in (
            ("load", dut.load_commands),
            ("store", dut.store_commands),
            ("vector", dut.vector_commands),
            ("matmul", dut.feed_commands),
        ):
            held, done = Signal(2, name=f"{name}_held"), any_in_every_cycle(m, 1, f"{name}_ends")
            if name != "matmul":
                any_ready(m, commands, name)
                m.d.comb += Assume(~commands.ready | (held < _ENGINE_LIMIT))
                fair = fair & patient(m, commands.valid & ~commands.ready & (held < _ENGINE_LIMIT), PATIENCE, name)
            else:
                fair = fair & patient(m, ~matrix_ready & (held < _ENGINE_LIMIT), PATIENCE, name)
            fair = fair & patient(m, (held != 0) & ~done, PATIENCE, f"{name}_work")
            m.d.sync += held.eq(held + moves(commands) - done)
            m.d.comb += [
                getattr(dut, f"{name}_done").eq(done),
                Assume(~done | (held != 0)),
                Assert(getattr(dut, f"{name}s") == held),
                Assert(held <= _ENGINE_LIMIT),
            ]
            open_kinds = open_kinds | (held != 0)
        return fair, open_kinds


def job_proofs() -> list[Proof]:
    """For `tiny`; nothing here depends on the configuration but what the check of descriptors lets pass."""
    tiny = PRESETS["tiny"]
    job, dispatching = Job(tiny), Dispatching(tiny)
    return [
        Proof(
            name="job_control",
            claim="from the cycle after an error until the engines' reset nothing is begun, and that comes in bounded "
            "time when the bus is at rest; a job without progress ends with the watchdog, and no other does; the first "
            "error is shown as it came until it is cleared, after which everything is as in the beginning; descriptors "
            "are fetched behind a reset of the engines, from a table inside of the window",
            build=partial(itself, job),
            method=Method.PDR,
            probes=job.probes,
        ),
        Proof(
            name="job_dispatcher",
            claim="a descriptor is taken in bounded time when the neighbours are fair, unless one before it cannot be "
            "run; then none is; all are passed on, with one command for each engine that it needs",
            build=partial(itself, dispatching),
            method=Method.PDR,
            probes=dispatching.probes,
            cuts=dispatching.cuts,
        ),
        Proof(
            name="job_executor",
            claim="a descriptor is begun in bounded time when the engines are fair, whatever it waits for, and a job "
            "whose last one has begun ends in bounded time, once, with nothing open; an engine has two commands at "
            "most; a descriptor that cannot be run is reported when all before it are complete, with its code and "
            "place, and no other begins",
            build=partial(Executing, tiny),
            method=Method.PDR,
        ),
    ]
