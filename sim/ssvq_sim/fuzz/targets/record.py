"""Records of runs, with their profiles: JSON."""

from __future__ import annotations

from ssvq.driver.profile import Profile, ProfileRow
from ssvq.network.errors import ReportError
from ssvq.network.report.run_record import PartRun, RunRecord
from ssvq.perfetto import trace_json
from ssvq.profile_table import profile_table
from ssvq_gen.config import PRESETS
from ssvq_gen.format import Opcode
from ssvq_gen.profile import PROFILE_CLASSES

from ..scratch import as_file
from ..target import Target
from .json_text import json_text, json_tree

_ARRAY, *_ = PROFILE_CLASSES


def _classes(cycles: int) -> dict[str, int]:
    return {**dict.fromkeys(PROFILE_CLASSES, 0), _ARRAY: cycles}


def _seeds() -> list[bytes]:
    times = {"begin": 2, "decoded": 3, "compute_begin": 3, "compute_end": 7, "drain_begin": 7, "end": 9}
    rows = (
        ProfileRow(index=0, opcode=Opcode.LOAD, job="a", begin=0, end=2, classes={}),
        ProfileRow(index=1, opcode=Opcode.MATMUL, job="a", classes=_classes(7), **times),
    )
    profile = Profile(rows=rows, tail=_classes(3), total=10, left_out=1)
    run = RunRecord(
        network="net",
        backend="sim",
        config=PRESETS["tiny"],
        parts=(PartRun(name="core 0", program="0123", counters={"TOTAL_CYCLES": 10}, profile=profile),),
        weight_formats=("int8", "ssvq"),
        bytes_per_cycle=1.0,
        bit_exact=True,
        metrics={"cosine to float": 0.99},
        command="ssvq run",
    )
    plain = RunRecord(
        network="net",
        backend="reference",
        config=PRESETS["tiny"],
        parts=(PartRun(name="core 0", program="0123"),),
        weight_formats=(),
        bytes_per_cycle=4,
    )
    return [run.to_json().encode(), plain.to_json().encode()]


def _read(data: bytes) -> RunRecord:
    record = RunRecord.load(as_file(data, "run.json"))
    for part in record.parts:
        if part.profile is not None:
            profile_table(part.profile)
            trace_json(part.profile, 1.0)
    return record


TARGET = Target(
    name="record",
    seeds=_seeds,
    errors=(ReportError,),
    read=_read,
    write=lambda record: record.to_json().encode(),
    apart=json_tree,
    together=json_text,
)
