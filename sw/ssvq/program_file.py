"""Program files: a magic, a version, a JSON header, the image, and a SHA-256 over all of it.

Little-endian: 8 bytes magic, uint32 version, uint32 header bytes, uint64 image bytes, header, image, 32 bytes digest.
Nothing in a file is executed, and every size is checked against the file's before it is used.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .files import write_atomically
from .program import Job, Piece, Program, ProgramError, Region
from .reference import ActivationScale

MAGIC = b"SSVQPROG"
VERSION = 3
_PREFIX = struct.Struct("<8sIIQ")
_DIGEST_BYTES = hashlib.sha256().digest_size
_SCALARS = ("config_digest", "word_bytes", "descriptor_offset", "descriptor_count", "memory_bytes")


class ProgramFileError(ProgramError):
    """A file is not a usable program."""


class BadMagic(ProgramFileError):
    """The file does not start with the magic of a program."""


class UnsupportedVersion(ProgramFileError):
    """The file's version is not the one this software reads."""


class TruncatedFile(ProgramFileError):
    """The file is shorter or longer than its header says."""


class CorruptFile(ProgramFileError):
    """The digest at the end is not that of the content."""


class BadHeader(ProgramFileError):
    """The header is not what a program needs, or contradicts itself."""


def program_to_bytes(program: Program) -> bytes:
    """The content of a program's file, the same bytes for the same program."""
    header = {name: getattr(program, name) for name in _SCALARS}
    header["jobs"] = [asdict(job) for job in program.jobs]
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    body = _PREFIX.pack(MAGIC, VERSION, len(text), program.image.size) + text + program.image.tobytes()
    return body + hashlib.sha256(body).digest()


def program_from_bytes(data: bytes) -> Program:
    """Inverse of `program_to_bytes`. Raises a ProgramFileError for anything else."""
    if not data.startswith(MAGIC):
        raise BadMagic(f"a program starts with {MAGIC!r}, not {data[: len(MAGIC)]!r}")
    if len(data) < _PREFIX.size:
        raise TruncatedFile(f"a program has at least {_PREFIX.size} bytes, not {len(data)}")
    _, version, header_bytes, image_bytes = _PREFIX.unpack_from(data)
    if version != VERSION:
        raise UnsupportedVersion(f"the version of a program must be {VERSION}, not {version}")
    expected = _PREFIX.size + header_bytes + image_bytes + _DIGEST_BYTES
    if len(data) != expected:
        raise TruncatedFile(f"the program's header announces {expected} bytes, the file has {len(data)}")
    if hashlib.sha256(data[:-_DIGEST_BYTES]).digest() != data[-_DIGEST_BYTES:]:
        raise CorruptFile("the digest at the end of the program does not match its content")
    start = _PREFIX.size + header_bytes
    image = np.frombuffer(data, dtype=np.uint8, count=image_bytes, offset=start)
    header = _header(data[_PREFIX.size : start])
    jobs = _jobs(header["jobs"])
    try:
        return Program(**{n: header[n] for n in _SCALARS}, image=image, jobs=jobs)
    except ProgramError as error:
        raise BadHeader(str(error)) from error


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BadHeader(f"the program's header is not JSON: {error}") from error
    if not isinstance(header, dict) or set(header) != {*_SCALARS, "jobs"}:
        raise BadHeader(f"the program's header must have exactly {', '.join((*_SCALARS, 'jobs'))}")
    for name in _SCALARS:
        if isinstance(header[name], bool) or not isinstance(header[name], int):
            raise BadHeader(f"{name} must be an integer, not {header[name]!r}")
    return header


def _jobs(data: Any) -> tuple[Job, ...]:
    try:
        return tuple(_job(entry) for entry in data)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise BadHeader(f"the jobs of the program are malformed: {error!r}") from error


def _job(entry: Mapping[str, Any]) -> Job:
    return Job(
        name=str(entry["name"]),
        first_descriptor=_integer(entry["first_descriptor"]),
        descriptor_count=_integer(entry["descriptor_count"]),
        input=_region(entry["input"]),
        output=_region(entry["output"]),
    )


def _region(entry: Mapping[str, Any] | None) -> Region | None:
    if entry is None:
        return None
    about = entry["scale"]
    scale = ActivationScale(
        scale=float(about["scale"]), zero_point=_integer(about["zero_point"]), gains=tuple(map(float, about["gains"]))
    )
    pieces = tuple(
        Piece(offset=_integer(p["offset"]), tokens=_pair(p["tokens"]), channels=_pair(p["channels"]))
        for p in entry["pieces"]
    )
    return Region(tokens=_integer(entry["tokens"]), channels=_integer(entry["channels"]), scale=scale, pieces=pieces)


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is not an integer")
    return value


def _pair(values: Any) -> tuple[int, int]:
    if not isinstance(values, list) or len(values) != 2:
        raise TypeError(f"{values!r} is not a pair")
    return _integer(values[0]), _integer(values[1])


def save_program(program: Program, path: Path) -> None:
    """Write a program's file: a reader sees the old one or the whole new one. Raises OSError."""
    write_atomically(path, program_to_bytes(program))


def load_program(path: Path) -> Program:
    """Read and check a program's file. Raises ProgramFileError naming the file, OSError when it cannot be read."""
    try:
        return program_from_bytes(path.read_bytes())
    except ProgramFileError as error:
        raise type(error)(f"{path}: {error}") from error
