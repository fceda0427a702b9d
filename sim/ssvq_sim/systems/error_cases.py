"""Jobs that must fail on the `tiny` core, each with the error that it must raise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ssvq.driver import (
    JOB_ERRORS,
    DigestMismatch,
    DriverError,
    JobAborted,
    JobStalled,
    JobTimeout,
)
from ssvq_gen.format import DESCRIPTOR_BYTES, ErrorCode, Opcode

from ..behaviour import CHANNELS, Behaviour, Fault, Hang, SimulationJob
from .work import BASE, CONFIG, GOOD, LONG_LOAD, LONG_STORE, Work

BURST_BYTES = 16 * CONFIG.beat_bytes
SLAVE_ERROR, DECODE_ERROR = 2, 3
_BUS_ADDRESSES = {
    *(ErrorCode.READ_SLAVE, ErrorCode.READ_DECODE, ErrorCode.WRITE_SLAVE, ErrorCode.WRITE_DECODE),
    *(ErrorCode.BAD_DESCRIPTOR, ErrorCode.DRAM_RANGE),
}
"""Codes whose address is one in DRAM."""
_WATCHDOG_CYCLES = 500
_HANG_CYCLES = 3000
_MATMULS = [i for i, d in enumerate(GOOD.program.descriptors()) if d["opcode"] == Opcode.MATMUL]
_LOADS = [i for i, d in enumerate(GOOD.program.descriptors()) if d["opcode"] == Opcode.LOAD]
_STORES = [i for i, d in enumerate(GOOD.program.descriptors()) if d["opcode"] == Opcode.STORE]
_FIRST = GOOD.program.descriptor(_MATMULS[0])
_SUM: dict[str, int] = {"opcode": Opcode.SUM, "dram_bytes": 0, "channels": 1, "has_second": 0, "table_use": 0}
_WINDOW = {
    "opcode": int(Opcode.CONV),
    "input_height": 1,
    "input_width": _FIRST["tokens"],
    "output_width": _FIRST["tokens"],
    "channel_tiles": _FIRST["k_tiles"],
    **dict.fromkeys(("kernel_width", "stride_y", "stride_x", "dilation_y", "dilation_x"), 1),
}
"""What makes a CONV of the first MATMUL: its activations are a row of pixels. None of it may be zero."""
_COLUMN = {"input_height": _FIRST["tokens"], "input_width": 1, "output_width": 1}
"""Or a column."""


@dataclass(frozen=True, kw_only=True)
class ErrorCase:
    """A job and what the driver must raise; `code` and so on are None where the error has none.

    beats_max : most beats that may be read and written, when it would be more without the error
    """

    name: str
    work: Work
    error: type[DriverError]
    code: ErrorCode | None = None
    descriptor: int | None = None
    address: int | None = None
    beats_max: tuple[int, int] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def job(self) -> SimulationJob:
        """The job that must fail."""
        return self.work.job(self.name, **self.settings)

    def at_base(self, base: int) -> ErrorCase:
        """The same with the DRAM window at another address."""
        address = self.address
        if address is not None and self.code in _BUS_ADDRESSES:
            address += base - BASE
        return replace(self, address=address, settings={**self.settings, "memory_base": base})


def failing(name: str, work: Work, code: ErrorCode, descriptor: int, address: int, **others: Any) -> ErrorCase:
    """A case with the type of error that belongs to the code."""
    settings = {"watchdog_cycles": 100_000, **others.pop("settings", {})}
    return ErrorCase(
        name=name,
        work=work,
        error=JOB_ERRORS[code],
        code=code,
        descriptor=descriptor,
        address=address,
        settings=settings,
        **others,
    )


def bus_errors() -> Iterator[ErrorCase]:
    """SLVERR and DECERR in the first, a middle and the last beat of every kind of access."""
    spans = [("descriptor", index, index * DESCRIPTOR_BYTES, DESCRIPTOR_BYTES) for index in (0, 4, 8)]
    for kind, indices in (("weights", _MATMULS[:2]), ("LOAD", _LOADS[:2]), ("STORE", (_STORES[0], _STORES[2]))):
        for index in indices:
            fields = GOOD.program.descriptor(index)
            spans.append((kind, index, fields["dram_offset"], fields["dram_bytes"]))
    for response in (SLAVE_ERROR, DECODE_ERROR):
        for kind, index, offset, size in spans:
            beat = CONFIG.beat_bytes
            beats = {"first": offset, "middle": offset + size // 2 // beat * beat, "last": offset + size - beat}
            for position, bad in beats.items():
                yield bus_error(f"{kind} {index}, {position} beat, response {response}", kind, index, bad, response)


def bus_error(name: str, kind: str, index: int, offset: int, response: int, work: Work = GOOD) -> ErrorCase:
    """An error in the beat at an offset of DRAM, which descriptor `index` reads or, in a STORE, writes."""
    writes = kind == "STORE"
    slave = ErrorCode.WRITE_SLAVE if writes else ErrorCode.READ_SLAVE
    decode = ErrorCode.WRITE_DECODE if writes else ErrorCode.READ_DECODE
    fault = Fault(first=offset, last=offset, response=response, reads=not writes, writes=writes)
    return failing(
        name,
        work,
        slave if response == SLAVE_ERROR else decode,
        index,
        # A write is answered once for its burst.
        BASE + (offset // BURST_BYTES * BURST_BYTES if writes else offset),
        settings={"behaviour": Behaviour(faults=(fault,), latency=20)},
    )


def cut_short() -> Iterator[ErrorCase]:
    """Errors in the first beat of long transfers: hardly anything may follow on the bus."""
    load, store = LONG_LOAD.program.descriptor(0), LONG_STORE.program.descriptor(2)
    reads = bus_error("long LOAD", "LOAD", 0, load["dram_offset"], SLAVE_ERROR, LONG_LOAD)
    writes = bus_error("long STORE", "STORE", 2, store["dram_offset"], DECODE_ERROR, LONG_STORE)
    # 16 open read bursts, 8 open write bursts, and what descriptors and the weight buffer take before.
    ahead = CONFIG.weight_buffer_depth + 3 * DESCRIPTOR_BYTES // CONFIG.beat_bytes
    yield replace(reads, beats_max=(ahead + 16 * 16, 0))
    yield replace(writes, beats_max=(10_000, 9 * 16))


def malformed_descriptors() -> Iterator[ErrorCase]:
    """Every rule of a descriptor, once and more."""
    for index, fields in _malformed():
        address = BASE + GOOD.program.descriptor(index)["dram_offset"]
        yield failing(f"{index}: {fields}", GOOD.patched(index, **fields), ErrorCode.BAD_DESCRIPTOR, index, address)


def _malformed() -> Iterator[tuple[int, dict[str, int]]]:
    """A descriptor of `GOOD`, and the fields that make it one that breaks a rule."""
    ssvq, int8 = _MATMULS[:2]
    load, store = _LOADS[1], _STORES[0]
    most_index, most_dim = CONFIG.index_width, CONFIG.max_vector_dim.bit_length() - 1
    cases: tuple[tuple[int, dict[str, int]], ...] = (
        (0, {"opcode": 0}),
        (load, {"opcode": 4}),
        (ssvq, {"opcode": 0x83}),
        (store, {"opcode": 255}),
        (0, {"magic": 0}),
        (ssvq, {"magic": 0x5B}),
        (store, {"magic": 0xDA}),
        (int8, {"opcode": Opcode.SUM}),
        (ssvq, {**_SUM, "channels": 0}),
        (ssvq, {**_SUM, "channels": 4097}),
        (ssvq, {**_SUM, "tokens": 0}),
        (ssvq, {**_SUM, "table_use": 3}),
        (ssvq, {**_SUM, "opcode": Opcode.LAYERNORM, "has_second": 1}),
        (ssvq, {**_SUM, "opcode": Opcode.LAYERNORM, "tokens": CONFIG.accumulator_depth + 1}),
        (ssvq, {**_SUM, "opcode": Opcode.MULTIPLY}),
        (ssvq, {**_SUM, "opcode": Opcode.SOFTMAX}),
        (load, {"batch_last": 1}),
        (int8, {"batch_last": 65535}),
        (ssvq, {"residency": 1, "cache_offset": CONFIG.weight_cache_bytes}),
        (ssvq, {"residency": 2, "cache_offset": 32}),
        (int8, {"residency": 3}),
        (ssvq, {"opcode": 4, "dram_bytes": 0, "last_columns": 0}),
        (ssvq, {"opcode": 4, "dram_bytes": 0, "last_columns": CONFIG.cols + 1}),
        (ssvq, {"opcode": 4, "last_columns": 1}),
        (ssvq, {"opcode": 5}),
        *((ssvq, {**_WINDOW, name: 0}) for name in _WINDOW if name != "opcode"),
        (ssvq, {**_WINDOW, "batch_last": 1}),
        (ssvq, {**_WINDOW, "residency": 3}),
        (load, {"dram_bytes": 0}),
        (store, {"dram_bytes": 0}),
        (ssvq, {"dram_bytes": 0}),
        (ssvq, {"tokens": 0}),
        (int8, {"tokens": CONFIG.accumulator_depth + 1}),
        (ssvq, {"tokens": 65535}),
        (ssvq, {"k_tiles": 0}),
        (int8, {"n_tiles": 0}),
        (ssvq, {"weight_format": 3}),
        (ssvq, {"index_width": 0}),
        (ssvq, {"index_width": most_index + 1}),
        (ssvq, {"index_width": 15}),
        (ssvq, {"vector_dim_log2": 0}),
        (ssvq, {"vector_dim_log2": most_dim + 1}),
        (ssvq, {"vector_dim_log2": 7}),
        (int8, {"index_width": 7}),
        (int8, {"vector_dim_log2": 1}),
        (ssvq, {"last_rows": 0}),
        (int8, {"last_rows": CONFIG.rows + 1}),
        (ssvq, {"last_rows": 255}),
        (ssvq, {"clamp_min": 1, "clamp_max": 0}),
        (int8, {"clamp_min": 127, "clamp_max": -128}),
    )
    yield from cases


def out_of_range() -> Iterator[ErrorCase]:
    """Addresses outside the DRAM window, off its alignment, and outside the activation memory."""
    ssvq, int8 = _MATMULS[:2]
    load, store = _LOADS[0], _STORES[1]
    window, depth = GOOD.program.memory_bytes, CONFIG.activation_depth
    for index in (load, ssvq, store):
        fields = GOOD.program.descriptor(index)
        for changes in (
            {"dram_offset": window},
            {"dram_offset": window - 64, "dram_bytes": 64 + 8},
            {"dram_offset": 0xFFFF_FFC0},
            {"dram_offset": 0xFFFF_FFC0, "dram_bytes": 0xFFFF_FFF8},
            {"dram_bytes": 0xFFFF_FFF8},
            {"dram_offset": fields["dram_offset"] + 32},
            {"dram_offset": fields["dram_offset"] + 1},
            {"dram_bytes": fields["dram_bytes"] + 2},
        ):
            address = BASE + changes.get("dram_offset", fields["dram_offset"])
            yield failing(f"{index}: {changes}", GOOD.patched(index, **changes), ErrorCode.DRAM_RANGE, index, address)
    words = {i: GOOD.program.descriptor(i)["dram_bytes"] // CONFIG.word_bytes for i in (load, store)}
    strides = {i: GOOD.program.descriptor(i) for i in (ssvq, int8)}
    for index, changes, word in (
        (load, {"destination": depth - words[load] + 1}, depth - words[load] + 1),
        (load, {"destination": 0xFFFF_FFFF}, 0xFFFF_FFFF),
        (store, {"source": depth - words[store] + 1}, depth - words[store] + 1),
        (store, {"source": depth}, depth),
        (ssvq, {"source": depth}, depth),
        (ssvq, {"source": 0xFFFF_FFFF}, 0xFFFF_FFFF),
        (ssvq, {"source": depth - 1}, depth - 1 + strides[ssvq]["input_stride"]),
        (ssvq, {"input_stride": 600}, strides[ssvq]["source"] + 4 * 600),
        (int8, {"input_stride": 65535}, strides[int8]["source"] + 65535),
        (ssvq, {**_WINDOW, "source": depth - 1}, depth - 1 + strides[ssvq]["input_stride"]),
        (ssvq, {**_WINDOW, "source": 0xFFFF_FFFF}, 0xFFFF_FFFF),
        (ssvq, {**_WINDOW, **_COLUMN, "row_stride": 600}, strides[ssvq]["source"] + 4 * 600),
        (ssvq, {**_WINDOW, "destination": 0xFFFF_FFFF}, 0xFFFF_FFFF),
        (ssvq, {"destination": depth}, depth),
        (ssvq, {"destination": 0xFFFF_FFFF}, 0xFFFF_FFFF),
        (int8, {"destination": depth - 1}, depth - 1 + strides[int8]["output_stride"]),
        (ssvq, {"output_stride": 600}, strides[ssvq]["destination"] + 4 * 600),
    ):
        name, work = f"{index}: {changes}", GOOD.patched(index, **changes)
        yield failing(name, work, ErrorCode.ACTIVATION_RANGE, index, word)


def weight_lengths() -> Iterator[ErrorCase]:
    """Weight streams that do not fit their layer: by one unit, by much, and by the layer's shape."""
    unit = CONFIG.stream_alignment
    for index in _MATMULS:
        fields = GOOD.program.descriptor(index)
        size, k_tiles, n_tiles = (fields[name] for name in ("dram_bytes", "k_tiles", "n_tiles"))
        for changes in (
            {"dram_bytes": size - unit},
            {"dram_bytes": size + unit},
            {"dram_bytes": unit},
            {"dram_bytes": size + 64 * unit},
            {"n_tiles": n_tiles + 1},
            {"n_tiles": n_tiles - 1},
            {"k_tiles": k_tiles + 1},
        ):
            yield failing(f"{index}: {changes}", GOOD.patched(index, **changes), ErrorCode.WEIGHT_LENGTH, index, 0)


def stalls() -> Iterator[ErrorCase]:
    """Channels that hang: the watchdog ends the job. Nothing but the bus can bring it back, which it does later."""
    for channel in CHANNELS:
        hang = Hang(channels=(channel,), cycles=_HANG_CYCLES)
        yield ErrorCase(
            name=f"{channel} hangs",
            work=GOOD,
            error=JobStalled,
            code=ErrorCode.WATCHDOG,
            descriptor=0 if channel in ("ar", "r") else _STORES[0],
            address=0,
            settings={"behaviour": Behaviour(hang=hang), "watchdog_cycles": _WATCHDOG_CYCLES},
        )
    late = Hang(channels=("r",), cycles=_HANG_CYCLES, after=900)
    yield ErrorCase(
        name="reads hang in a LOAD",
        work=LONG_LOAD,
        error=JobStalled,
        code=ErrorCode.WATCHDOG,
        descriptor=0,
        address=0,
        settings={"behaviour": Behaviour(hang=late, latency=5), "watchdog_cycles": _WATCHDOG_CYCLES},
    )


def time_outs_and_aborts() -> Iterator[ErrorCase]:
    """The driver gives up, or someone else does, at all stages of a job and with the bus in any state."""
    slow = Behaviour(latency=150, bytes_per_cycle=1, stalls=dict.fromkeys(CHANNELS, 0.3), seed=5)
    for after in (1, 20, 60, 150, 333, 700, 2000):
        settings = {"behaviour": slow, "timeout_cycles": after}
        yield ErrorCase(name=f"time-out after {after}", work=GOOD, error=JobTimeout, settings=settings)
    for after in (150, 190, 250, 400, 600, 900):
        yield ErrorCase(
            name=f"abort after {after}",
            work=GOOD,
            error=JobAborted,
            code=ErrorCode.ABORTED,
            address=0,
            settings={"behaviour": slow, "abort_after": after},
        )
    hang = Behaviour(hang=Hang(channels=("b",), cycles=_HANG_CYCLES))
    yield ErrorCase(
        name="time-out while a write response hangs",
        work=GOOD,
        error=JobTimeout,
        settings={"behaviour": hang, "timeout_cycles": 1500, "watchdog_cycles": 0},
    )


def wrong_configurations() -> Iterator[ErrorCase]:
    """Core, driver and program do not belong together."""
    believed = {"driver_config": CONFIG.replace(accumulator_depth=128).to_dict()}
    yield ErrorCase(name="the driver believes in another core", work=GOOD, error=DigestMismatch, settings=believed)
    program = replace(GOOD.program, config_digest=GOOD.program.config_digest ^ 1)
    yield ErrorCase(name="a program of another core", work=replace(GOOD, program=program), error=DigestMismatch)


GROUPS: Mapping[str, Callable[[], list[ErrorCase]]] = {
    "bus errors": lambda: [*bus_errors(), *cut_short()],
    "descriptors": lambda: [*malformed_descriptors(), *wrong_configurations()],
    "ranges": lambda: list(out_of_range()),
    "weights": lambda: list(weight_lengths()),
    "stalls": lambda: [*stalls(), *time_outs_and_aborts()],
}
"""Cases that run in one simulator process, each followed by `GOOD`."""
