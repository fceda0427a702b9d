"""The life of a job: start, run, first error, drain of the bus, reset of the engines, clear."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DESCRIPTOR_BYTES, DRAM_ALIGNMENT, ErrorCode

from .bus import ERROR_CODE_WIDTH, TAG_WIDTH
from .checks import require_config


class JobError(data.StructLayout):
    """An error that ends a job: what, in which descriptor, at which bus address or activation word."""

    def __init__(self) -> None:
        super().__init__({"code": ERROR_CODE_WIDTH, "descriptor": TAG_WIDTH, "addr": 64})


class JobControl(wiring.Component):
    """Idle -> running -> done or failing -> failed -> idle.

    On the first error `halt` rises in the next cycle: no burst is started from then on. When the bus is idle, `flush`
    resets every engine for one cycle, and the job has failed. Every job starts with the same reset.

    Members
    -------
    start, clear, abort : pulses from the host
    memory_base, memory_size, descriptor_offset, descriptor_count, watchdog_cycles : registers
    begins : pulse, the host has started a job, the next cycle is its first
    fetch_start : pulse, with the registers valid
    finished : pulse from the executor
    error_valid, error : an engine reports `JobError`; the first one counts
    index : the first descriptor that is not complete, for errors that belong to no transfer
    progress : something moved in this cycle
    bus_idle : no transaction is open
    quiet : ... and no weight stream is being taken apart; a finished job waits for it
    halt, flush : to the engines
    busy, done, failed, draining : STATUS
    done_event, error_event : pulses
    first_error : kept until clear
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = require_config(config)
        super().__init__(
            {
                "start": In(1),
                "clear": In(1),
                "abort": In(1),
                "memory_base": In(64),
                "memory_size": In(32),
                "descriptor_offset": In(32),
                "descriptor_count": In(32),
                "watchdog_cycles": In(32),
                "begins": Out(1),
                "fetch_start": Out(1),
                "finished": In(1),
                "error_valid": In(1),
                "error": In(JobError()),
                "index": In(TAG_WIDTH),
                "progress": In(1),
                "bus_idle": In(1),
                "quiet": In(1),
                "halt": Out(1),
                "flush": Out(1),
                "busy": Out(1),
                "done": Out(1),
                "failed": Out(1),
                "draining": Out(1),
                "done_event": Out(1),
                "error_event": Out(1),
                "first_error": Out(JobError()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        idle_cycles = Signal(32)
        expired = Signal()
        m.d.comb += expired.eq((self.watchdog_cycles != 0) & (idle_cycles >= self.watchdog_cycles))
        with m.If(self.progress | ~self.busy):
            m.d.sync += idle_cycles.eq(0)
        with m.Else():
            m.d.sync += idle_cycles.eq(idle_cycles + 1)

        bad_count = (self.descriptor_count == 0) | (self.descriptor_count >> TAG_WIDTH != 0)
        table_end = self.descriptor_offset + self.descriptor_count * DESCRIPTOR_BYTES
        window_end = self.memory_base + self.memory_size
        bad_table = (
            (table_end > self.memory_size)
            | (self.descriptor_offset % DRAM_ALIGNMENT != 0)
            | (window_end > (1 << self._config.axi_addr_width))
        )
        settling = Signal()  # all descriptors are complete; padding may still be on its way
        abort_waits = Signal()  # it came while the job started
        aborts = Signal()
        failure = Signal(JobError())
        fails = Signal()
        m.d.comb += aborts.eq(self.abort | abort_waits)

        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.d.comb += self.begins.eq(1)
                m.next = "START"
            with m.State("START"):
                m.d.sync += abort_waits.eq(self.abort)
                m.d.comb += [
                    self.busy.eq(1),
                    failure.descriptor.eq(0),
                    failure.addr.eq(self.memory_base + self.descriptor_offset),
                ]
                with m.If(bad_count | bad_table):
                    m.d.comb += [
                        fails.eq(1),
                        failure.code.eq(Mux(bad_count, ErrorCode.BAD_DESCRIPTOR, ErrorCode.DRAM_RANGE)),
                    ]
                    m.next = "FAILING"
                with m.Else():
                    m.d.comb += self.flush.eq(1)
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.d.comb += [self.busy.eq(1), self.fetch_start.eq(1)]
                m.d.sync += [settling.eq(0), abort_waits.eq(aborts)]
                m.next = "RUNNING"
            with m.State("RUNNING"):
                m.d.comb += self.busy.eq(1)
                with m.If(self.error_valid):
                    m.d.comb += failure.eq(self.error)
                with m.Else():
                    m.d.comb += [
                        failure.code.eq(Mux(aborts, ErrorCode.ABORTED, ErrorCode.WATCHDOG)),
                        failure.descriptor.eq(self.index),
                    ]
                with m.If(self.error_valid | aborts | expired):
                    m.d.comb += fails.eq(1)
                    m.next = "FAILING"
                with m.Elif((self.finished | settling) & self.quiet):
                    m.d.comb += self.done_event.eq(1)
                    m.next = "DONE"
                m.d.sync += settling.eq(self.finished | settling)
            with m.State("DONE"):
                m.d.comb += self.done.eq(1)
                with m.If(self.clear):
                    m.next = "IDLE"
            with m.State("FAILING"):
                m.d.comb += [self.failed.eq(1), self.draining.eq(1), self.halt.eq(1)]
                with m.If(self.bus_idle):
                    m.next = "FLUSH"
            with m.State("FLUSH"):
                m.d.comb += [self.failed.eq(1), self.draining.eq(1), self.halt.eq(1), self.flush.eq(1)]
                m.next = "FAILED"
            with m.State("FAILED"):
                m.d.comb += self.failed.eq(1)
                with m.If(self.clear):
                    m.next = "IDLE"

        m.d.comb += self.error_event.eq(fails)
        with m.If(fails):
            m.d.sync += self.first_error.eq(failure)
        with m.Elif(self.clear & ~self.busy & ~self.draining):
            m.d.sync += self.first_error.eq(0)
        return m
