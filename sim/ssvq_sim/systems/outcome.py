"""What a finished job must look like, beyond its outputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ssvq.program import Program
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import STREAM_OPCODES, Opcode, Residency

from ..behaviour import JobResult

Beats = tuple[int, int]
"""Beats read and written up to some time, as the memory saw them."""


def problems_of(
    config: CoreConfig,
    program: Program,
    expected: Mapping[str, npt.NDArray[np.int8]],
    result: JobResult,
    beats_before: Beats,
) -> list[str]:
    """Everything that is wrong with the result of a job that should have succeeded.

    beats_before : beats read and written before the job, as the memory saw them
    """
    problems = problems_of_memory(expected, result)
    if result.error is not None:
        return problems
    for counter, value in _expected_counters(config, program, result, beats_before).items():
        if result.counters[counter] != value:
            problems.append(f"{counter} is {result.counters[counter]}, not {value}")
    return problems


def problems_of_memory(expected: Mapping[str, npt.NDArray[np.int8]], result: JobResult) -> list[str]:
    """What is wrong with the outputs and all else that is in DRAM, or the error of a job that should have succeeded."""
    if result.error is not None:
        return [f"{result.error.type}: {result.error.message}"]
    problems = [problem for name, array in expected.items() if (problem := _difference(name, array, result))]
    return problems + stray_writes(result)


def stray_writes(result: JobResult) -> list[str]:
    """What was written that is no output."""
    if result.stray is None:
        return []
    return [f"byte {result.stray:#x} of DRAM changed, which is outside all outputs"]


def beats_after(result: JobResult) -> Beats:
    """Beats read and written up to the end of a job."""
    return result.read_beats, result.write_beats


def _difference(name: str, expected: npt.NDArray[np.int8], result: JobResult) -> str | None:
    actual = result.outputs[name]
    wrong = np.argwhere(actual != expected)
    if not wrong.size:
        return None
    token, channel = (int(i) for i in wrong[0])
    return (
        f"{len(wrong)} of {expected.size} outputs of {name} differ, the first at token {token}, channel {channel}: "
        f"{actual[token, channel]}, not {expected[token, channel]}"
    )


def _expected_counters(config: CoreConfig, program: Program, result: JobResult, beats_before: Beats) -> dict[str, int]:
    """Counters that do not depend on time. Every beat on the bus belongs to the job: none was left by one before."""
    descriptors = program.descriptors()
    layers = [d for d in descriptors if d["opcode"] in STREAM_OPCODES]
    products = [d for d in descriptors if d["opcode"] == Opcode.PRODUCT]
    fetched = [d for d in layers if d["residency"] != Residency.REUSE]
    tiles = [(d, 1) for d in layers] + [(d, d["batch_last"] + 1) for d in products]
    return {
        "ARRAY_CYCLES": sum(d["tokens"] * d["k_tiles"] * d["n_tiles"] * batch for d, batch in tiles),
        "WEIGHT_BEATS": sum(d["dram_bytes"] for d in fetched) // config.beat_bytes,
        "READ_BEATS": result.read_beats - beats_before[0],
        "WRITE_BEATS": result.write_beats - beats_before[1],
    }
