"""Functional coverage: what a log of the pins says of jobs, which bins they hit, and that holes are found."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_gen.format import ErrorCode, FormatError, Opcode, pack_descriptor
from ssvq_gen.registers import REGISTER_BY_NAME
from ssvq_gen.stream_format import StreamFormat
from ssvq_sim.coverage.bins import groups
from ssvq_sim.coverage.bus_log import Job, LogError, read_log
from ssvq_sim.coverage.edge_jobs import edge_jobs
from ssvq_sim.coverage.error_jobs import error_jobs
from ssvq_sim.coverage.exclusions import ExclusionError
from ssvq_sim.coverage.facts import completed, edge, failure, format_name, formats
from ssvq_sim.coverage.format_jobs import format_jobs
from ssvq_sim.coverage.functional import (
    BinExclusion,
    Played,
    bin_name,
    count,
    hits,
    of_right_scenarios,
    read_bin_exclusions,
)

TINY = PRESETS["tiny"]
GROUPS = groups(TINY)
BASE, TABLE = 0x1000, 0x100
LAYER = {
    "opcode": Opcode.MATMUL,
    "dram_offset": 0x400,
    "dram_bytes": 128,
    "weight_format": WeightFormat.SSVQ,
    "index_width": 4,
    "vector_dim_log2": 3,
    "k_tiles": 1,
    "n_tiles": 2,
    "last_rows": 3,
    "tokens": TINY.accumulator_depth,
}
LOAD = {"opcode": Opcode.LOAD, "dram_offset": 0x200, "dram_bytes": 8}
STORE = {"opcode": Opcode.STORE, "dram_offset": 0x200, "dram_bytes": 64}
SUM = {"opcode": Opcode.SUM, "channels": 9, "tokens": 1}


def register(name: str, value: int, time: int = 900) -> str:
    return f"{time} register {REGISTER_BY_NAME[name].offset:x} {value}"


DONE = register("STATUS", REGISTER_BY_NAME["STATUS"].bit("DONE"))


def job(*descriptors: dict[str, Any], lines: tuple[str, ...] = (), end: tuple[str, ...] = (DONE,)) -> Job:
    """The only job of a log, of which every descriptor was read without a wait."""
    log = [f"100 start {BASE:x} {TABLE:x} {len(descriptors)}"]
    for index, d in enumerate(descriptors):
        data = int.from_bytes(pack_descriptor(d), "little")
        log += [f"200 descriptor {index} {data:x}", f"200 reads {BASE + TABLE + 64 * index:x} 0 0"]
    (found,) = read_log([*log, *lines, *end])
    return found


def names(found: Job, group: str) -> set[str]:
    return {bin_name(values) for name, values in hits(GROUPS, found) if name == group}


# Formats


@pytest.mark.parametrize(
    "config", [TINY, PRESETS["base"], TINY.replace(rows=32, max_codebook_size=64, formats=(WeightFormat.VQ,))]
)
def test_formats_are_those_that_can_be_decoded(config: CoreConfig) -> None:
    legal = set()
    for kind, k, d in itertools.product(config.formats, range(1, 14), range(8)):
        try:
            StreamFormat(config=config, weight_format=kind, codebook_size=1 << k, vector_dim=1 << d)
        except FormatError:
            continue
        legal.add((kind, 1 << k, 1 << d) if kind is not WeightFormat.INT8 else (kind, 0, 0))
    assert set(formats(config)) == legal


def test_edges() -> None:
    found = [edge(count, last, 8) for count, last in ((1, 1), (2, 1), (1, 7), (1, 8), (3, 8))]
    assert found == ["one", "part", "part", "whole", "whole"]


# The log


def test_a_layer_of_a_job_that_was_done() -> None:
    own = BASE + LAYER["dram_offset"]
    found = job(LAYER, lines=(f"300 reads {own:x} 1 0", f"300 reads {own + 64:x} 0 0", "400 writes ffff 0 0 7"))
    assert (found.begin, found.base, found.table, found.code) == (10, BASE, BASE + TABLE, ErrorCode.NONE)
    name = "ssvq k=16 d=8"
    assert names(found, "format x opcode") == {f"{name} x MATMUL"}
    assert names(found, "format x inputs") == {f"{name} x part"}
    assert names(found, "format x outputs") == {f"{name} x several"}
    assert names(found, "format x tokens") == {f"{name} x whole"}
    assert names(found, "format x residency") == {f"{name} x NONE"}
    assert names(found, "format x read channel") == {f"{name} x ar x waits", f"{name} x r x flows"}
    assert names(found, "format x channel of the job") == {
        f"{name} x {channel} x {pace}"
        for channel, pace in (("ar", "waits"), ("r", "flows"), ("aw", "flows"), ("w", "flows"), ("b", "waits"))
    }
    assert names(found, "opcode x channel of the descriptor") == {"MATMUL x ar x flows", "MATMUL x r x flows"}


def test_bursts_belong_to_who_names_their_place_and_goes_their_way() -> None:
    """A LOAD and a STORE of one place; a vector operation has no bursts, and a kept layer none either."""
    own = BASE + LOAD["dram_offset"]
    found = job(LOAD, STORE, SUM, lines=(f"300 reads {own:x} 0 5", f"400 writes {own:x} 0 3 0"))
    assert names(found, "opcode x channel of its data") == {
        *("LOAD x ar x flows", "LOAD x r x waits", "STORE x aw x flows", "STORE x w x waits", "STORE x b x flows")
    }
    assert names(found, "transfer x length") == {"LOAD x one", "STORE x whole"}
    assert names(found, "vector operation x channels x tokens") == {"SUM x part x one"}
    kept = job({**LAYER, "residency": 2}, lines=(f"300 reads {BASE + LAYER['dram_offset']:x} 1 1",))
    assert not names(kept, "format x read channel")


def test_an_error() -> None:
    code, index = register("ERROR_CODE", ErrorCode.READ_DECODE), register("ERROR_DESCRIPTOR", 1)
    found = job(LOAD, SUM, lines=("300 reads 5000 4 0",), end=(code, index))
    assert names(found, "error x opcode") == {"READ_DECODE x SUM"}
    assert names(found, "error x channel") == {"READ_DECODE x ar"}
    assert not list(completed(found))
    unread = job(LOAD, end=(code, index))
    assert not names(unread, "error x opcode")


def test_a_job_whose_end_nobody_saw_hits_nothing() -> None:
    assert not hits(GROUPS, job(LAYER, end=()))
    assert failure(job(LAYER, end=())) is None


def test_a_job_that_is_done_has_read_its_descriptors() -> None:
    found = job(LOAD, SUM)
    del found.descriptors[1]
    with pytest.raises(ValueError, match=r"the job of cycle 10 is done, and of its 2 descriptors were read: 0$"):
        hits(GROUPS, found)


@pytest.mark.parametrize(
    "line", ["300 sings 1", "300 reads 10", "300 register 14", "300", "", f"300 descriptor 0 1{0:0128x}"]
)
def test_what_the_listener_does_not_write_is_refused(line: str) -> None:
    with pytest.raises(LogError, match=r"is not a line of the log"):
        list(read_log(["100 start 0 0 1", line]))


def test_scenarios_that_went_wrong_do_not_count() -> None:
    log = [f"{time} start 0 0 0" for time in (50, 150, 250, 260, 990)]
    played = [
        Played(name=str(begin), begin=begin, end=begin + 10, problems=["wrong"] if begin == 10 else [])
        for begin in (0, 10, 20)
    ]
    assert [found.begin for found in of_right_scenarios(read_log(log), played)] == [5, 25, 26]


# Bins


def few() -> tuple[Any, ...]:
    return tuple(group for group in GROUPS if group.name in ("transfer x length", "format x opcode"))


def test_a_hole_is_found() -> None:
    """Every bin but one is hit."""
    jobs = [
        job({**d, "dram_bytes": size})
        for d, size in itertools.product((LOAD, STORE), (8, 16, 64))
        if (d, size) != (LOAD, 16)
    ]
    layers = [
        {**LAYER, "opcode": opcode, **format_fields(*values)}
        for opcode in (Opcode.MATMUL, Opcode.CONV)
        for values in formats(TINY)
    ]
    jobs += [job(layer) for layer in layers]
    found = count(few(), jobs, ())
    assert found.missed == ["transfer x length: LOAD x part"]
    assert not found.problems
    said = found.to_dict()
    assert (said["bins"], said["hit"], said["jobs"]) == (104, 103, len(jobs))
    assert said["counts"]["transfer x length"]["LOAD x part"] == 0
    whole = count(few(), [*jobs, job({**LOAD, "dram_bytes": 16})], ())
    assert not whole.missed
    assert count(few(), jobs[1:], ()).missed == ["transfer x length: LOAD x one", "transfer x length: LOAD x part"]


def format_fields(kind: WeightFormat, codebook_size: int, vector_dim: int) -> dict[str, int]:
    if kind is WeightFormat.INT8:
        return {"weight_format": kind, "index_width": 8, "vector_dim_log2": 0}
    shape = {"index_width": codebook_size.bit_length() - 1, "vector_dim_log2": vector_dim.bit_length() - 1}
    return {"weight_format": kind, **shape}


def exclusion(folder: Path, bins: str, group: str = "transfer x length") -> tuple[BinExclusion, ...]:
    path = folder / "bins.toml"
    path.write_text(f"[[exclusion]]\ngroup = '{group}'\nbins = '{bins}'\nreason = 'why'\n")
    return read_bin_exclusions(path)


def test_exclusions_take_out_bins_and_no_more(tmp_path: Path) -> None:
    found = count(few(), [job(LOAD)], exclusion(tmp_path, "STORE x .*"))
    assert not found.problems
    assert [number for _, number in found.excluded] == [3]
    assert [text for text in found.missed if text.startswith("transfer")] == [
        *("transfer x length: LOAD x part", "transfer x length: LOAD x whole")
    ]


def test_an_excluded_bin_that_is_hit_is_a_problem(tmp_path: Path) -> None:
    found = count(few(), [job(LOAD)], exclusion(tmp_path, "LOAD x one"))
    assert found.problems == ["transfer x length: LOAD x one was hit and is excluded: why"]


@pytest.mark.parametrize(("bins", "group"), [("LOAD", "transfer x length"), (".*", "no such group")])
def test_an_exclusion_of_nothing_is_a_problem(tmp_path: Path, bins: str, group: str) -> None:
    (problem,) = count(few(), [job(LOAD)], exclusion(tmp_path, bins, group)).problems
    assert "covers no bin: why" in problem


def test_what_is_no_bin_must_not_happen() -> None:
    """A codebook of more codewords than the core has."""
    found = count(few(), [job({**LAYER, "index_width": 9})], ())
    assert found.problems == ["format x opcode: ssvq k=512 d=8 x MATMUL was hit and is no bin"]


@pytest.mark.parametrize(
    "rule",
    [
        'group = "a"\nbins = "b"',
        'group = "a"\nbins = "b"\nreason = " "',
        'group = "a"\nbins = "("\nreason = "b"',
        "bins = ",
    ],
)
def test_bad_rules(rule: str, tmp_path: Path) -> None:
    path = tmp_path / "bins.toml"
    path.write_text(f"[[exclusion]]\n{rule}")
    with pytest.raises(ExclusionError, match=r"bins\.toml"):
        read_bin_exclusions(path)


def test_the_projects_rules_cover_bins_and_few_of_them() -> None:
    found = count(GROUPS, [], read_bin_exclusions())
    assert not found.problems
    assert sum(number for _, number in found.excluded) < found.bins / 5
    assert len({group.name for group in GROUPS}) == len(GROUPS)
    assert format_name(WeightFormat.SSVQ, 256, 8) in {values[0] for values in GROUPS[0].bins}


# The jobs that are made for it


def test_every_format_and_error_has_jobs() -> None:
    """What they hit is counted where they run; here, that none is left out or twice there."""
    jobs = [scenario.name for make in (format_jobs, edge_jobs) for scenario in make(TINY)]
    errors = [fault.name for fault in error_jobs(TINY)]
    assert len({*jobs, *errors}) == len(jobs) + len(errors)
    for values in formats(TINY):
        assert sum(name.endswith(f" in {format_name(*values)}") for name in jobs) == 2
    for code in list(ErrorCode)[1:]:
        assert f"{code.name} while all pause" in errors
