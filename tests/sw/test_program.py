"""Programs and their files: round trip, and every way in which a file can be wrong."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from program_files import BAD_HEADERS, DATA, LAYER, PROGRAM, rewritten

from ssvq.program import Program, ProgramError, input_pieces, place_input, read_output
from ssvq.program_file import (
    VERSION,
    BadHeader,
    BadMagic,
    CorruptFile,
    ProgramFileError,
    TruncatedFile,
    UnsupportedVersion,
    load_program,
    program_from_bytes,
    program_to_bytes,
    save_program,
)
from ssvq_sim.systems.layers import random_input


def test_file_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "layer.ssvqprog"
    save_program(PROGRAM, path)
    loaded = load_program(path)
    assert replace(loaded, image=PROGRAM.image).jobs == PROGRAM.jobs
    np.testing.assert_array_equal(loaded.image, PROGRAM.image)
    assert program_to_bytes(loaded) == DATA
    assert [p.name for p in tmp_path.iterdir()] == ["layer.ssvqprog"]


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "layer.ssvqprog"
    save_program(PROGRAM, path)

    def fail(handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("ssvq.files.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save_program(replace(PROGRAM, config_digest=0), path)
    assert path.read_bytes() == DATA
    assert [p.name for p in tmp_path.iterdir()] == ["layer.ssvqprog"]


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(BadMagic, match="a program starts with b'SSVQPROG'"):
        program_from_bytes(b"ELF" + DATA)
    with pytest.raises(UnsupportedVersion, match=f"must be {VERSION}, not 77"):
        program_from_bytes(DATA[:8] + b"\x4d" + DATA[9:])
    for wrong in (DATA[:10], DATA[:-1], DATA + b"x", DATA[:30]):
        with pytest.raises(TruncatedFile):
            program_from_bytes(wrong)
    with pytest.raises(CorruptFile):
        program_from_bytes(DATA[:-1] + bytes([DATA[-1] ^ 1]))
    path = tmp_path / "bad"
    path.write_bytes(b"nothing")
    with pytest.raises(BadMagic, match=r"bad: a program starts with"):
        load_program(path)


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_any_changed_byte_is_noticed(position: int, change: int) -> None:
    with pytest.raises(ProgramFileError):
        program_from_bytes(DATA[:position] + bytes([DATA[position] ^ change]) + DATA[position + 1 :])


@pytest.mark.parametrize(
    ("change", "message"),
    BAD_HEADERS,
)
def test_bad_headers(change: Any, message: str) -> None:
    with pytest.raises(BadHeader, match=message):
        program_from_bytes(rewritten(change))


def test_scale_beyond_floating_point() -> None:
    def change(header: dict[str, Any]) -> None:
        header["jobs"][0]["input"]["scale"]["scale"] = 10**400

    with pytest.raises(BadHeader, match="the jobs of the program are malformed"):
        program_from_bytes(rewritten(change))


@pytest.mark.parametrize("missing", ["input", "output"])
def test_job_without_input_or_output(missing: str) -> None:
    job = replace(PROGRAM.job(), **{missing: None})  # type: ignore[arg-type]
    loaded = program_from_bytes(program_to_bytes(replace(PROGRAM, jobs=(job,))))
    assert loaded.jobs == (job,)
    memory = loaded.new_memory()
    x = random_input(np.random.default_rng(1), 100, LAYER)
    if missing == "input":
        with pytest.raises(ProgramError, match="job 'layer' has no input in DRAM"):
            place_input(memory, loaded, x)
    else:
        with pytest.raises(ProgramError, match="job 'layer' has no output in DRAM"):
            read_output(memory, loaded)


def test_header_that_is_no_json() -> None:
    for text in (b"{", b"\xff", b"[]", b"[" * 100_000):
        body = struct.pack("<8sIIQ", b"SSVQPROG", VERSION, len(text), 0) + text
        with pytest.raises(BadHeader):
            program_from_bytes(body + hashlib.sha256(body).digest())


def test_input_and_output_are_where_the_pieces_say() -> None:
    memory = PROGRAM.new_memory()
    x = random_input(np.random.default_rng(1), 100, LAYER)
    place_input(memory, PROGRAM, x)
    for piece, data in input_pieces(PROGRAM, x):
        np.testing.assert_array_equal(memory[piece.offset : piece.offset + data.size], data)
        words = data.view(np.int8).reshape(-1, 32)
        np.testing.assert_array_equal(words[:, :30], x[slice(*piece.tokens)])
        assert not words[:, 30:].any()
    np.testing.assert_array_equal(memory[: PROGRAM.image.size], PROGRAM.image)
    assert not read_output(memory, PROGRAM).any()


def test_access_by_name_and_index() -> None:
    assert PROGRAM.job() is PROGRAM.job("layer")
    assert PROGRAM.job_of_descriptor(0) is PROGRAM.job()
    assert PROGRAM.job_of_descriptor(PROGRAM.descriptor_count) is None
    with pytest.raises(ProgramError, match="no job 'other': the program has layer"):
        PROGRAM.job("other")
    with pytest.raises(ProgramError, match=f"descriptor must be from 0 to {PROGRAM.descriptor_count - 1}, not 99"):
        PROGRAM.descriptor(99)


def test_image_is_checked_and_not_writable() -> None:
    with pytest.raises(ProgramError, match="image must be a vector of uint8, not int8"):
        replace(PROGRAM, image=PROGRAM.image.view(np.int8))
    loaded: Program = program_from_bytes(DATA)
    with pytest.raises(ValueError, match="read-only"):
        loaded.image[0] = 1
