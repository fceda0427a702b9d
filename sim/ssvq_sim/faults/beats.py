"""Errors in every beat of the longest bursts."""

from __future__ import annotations

from collections.abc import Iterator

from ssvq_gen.config import MAX_BURST_BEATS
from ssvq_gen.format import DESCRIPTOR_BYTES, Opcode

from ..systems.error_cases import DECODE_ERROR, SLAVE_ERROR, bus_error
from ..systems.work import BOTH_WAYS, CONFIG, LONG_LOAD, LONG_STORE, Work
from .injection import Injection, of_case


def every_beat() -> list[Injection]:
    """SLVERR and DECERR in each beat of a burst of descriptors, weights, a LOAD and a STORE.

    Also of a LOAD and a STORE beside each other: an error of one direction has to stop both.
    """
    return [injection for response in (SLAVE_ERROR, DECODE_ERROR) for injection in _with_response(response)]


def _with_response(response: int) -> Iterator[Injection]:
    beat = CONFIG.beat_bytes
    for kind, work, index, offset, count in _bursts():
        beside = " beside another" if work is BOTH_WAYS else ""
        for number in range(count):
            name = f"beat {number} of a burst of {kind}{beside}, response {response}"
            yield of_case(bus_error(name, kind, index, offset + number * beat, response, work))


def _bursts() -> Iterator[tuple[str, Work, int, int, int]]:
    """Kind of access, work, descriptor, offset in DRAM and beats of a burst."""
    program = LONG_LOAD.program
    descriptors = DESCRIPTOR_BYTES // CONFIG.beat_bytes
    yield "descriptor", LONG_LOAD, 1, program.descriptor_offset + DESCRIPTOR_BYTES, descriptors
    for kind, work, opcode, which in (
        ("weights", LONG_STORE, Opcode.MATMUL, 0),
        ("LOAD", LONG_LOAD, Opcode.LOAD, 0),
        ("LOAD", BOTH_WAYS, Opcode.LOAD, 1),
        ("STORE", LONG_STORE, Opcode.STORE, 0),
        ("STORE", BOTH_WAYS, Opcode.STORE, 0),
    ):
        index = [i for i, d in enumerate(work.program.descriptors()) if d["opcode"] == opcode][which]
        fields = work.program.descriptor(index)
        # The second burst: of the first, `bus_errors` has the first beat.
        offset = fields["dram_offset"] + MAX_BURST_BEATS * CONFIG.beat_bytes
        yield kind, work, index, offset, min(MAX_BURST_BEATS, fields["dram_bytes"] // CONFIG.beat_bytes)
