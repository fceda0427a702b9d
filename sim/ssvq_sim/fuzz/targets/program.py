"""A program's file."""

from __future__ import annotations

import hashlib
import struct

from ssvq.program import Program, ProgramError
from ssvq.program_file import MAGIC, VERSION, program_from_bytes, program_to_bytes
from ssvq_gen.config import PRESETS

from ...smoke.job import smoke_job
from ..target import Target, Tree, UnwritableError
from .json_text import json_text, json_tree

_PREFIX = struct.Struct("<8sIIQ")
_DIGEST_BYTES = 32
_WORD = (1 << 32) - 1


def _seeds() -> list[bytes]:
    return [program_to_bytes(smoke_job(PRESETS["tiny"]).program)]


def _read(data: bytes) -> Program:
    program = program_from_bytes(data)
    program.descriptors()
    for job in program.jobs:
        program.job(job.name)
    return program


def _apart(data: bytes) -> Tree:
    if len(data) < _PREFIX.size + _DIGEST_BYTES:
        raise UnwritableError("too short for a program")
    magic, version, header_bytes, _ = _PREFIX.unpack_from(data)
    text, image = data[_PREFIX.size :][:header_bytes], data[_PREFIX.size + header_bytes : -_DIGEST_BYTES]
    return {"magic": magic, "version": version, "header": json_tree(text), "image": image}


def _together(tree: Tree) -> bytes:
    """Parts that are not as an edit left them good for are those of a valid file."""
    parts = {"magic": MAGIC, "version": VERSION, "header": {}, "image": b"", **(tree if isinstance(tree, dict) else {})}
    magic = parts["magic"] if isinstance(parts["magic"], bytes) else MAGIC
    image = parts["image"] if isinstance(parts["image"], bytes) else b""
    version = parts["version"] if isinstance(parts["version"], int) else VERSION
    text = json_text(parts["header"])
    body = _PREFIX.pack(magic, version & _WORD, len(text), len(image)) + text + image
    return body + hashlib.sha256(body).digest()


def _repaired(data: bytes) -> bytes:
    """With the magic, the version, the length of the image and the digest that the rest of it needs."""
    if len(data) < _PREFIX.size + _DIGEST_BYTES:
        return data
    content = data[_PREFIX.size : -_DIGEST_BYTES]
    header_bytes = min(_PREFIX.unpack_from(data)[2], len(content))
    body = _PREFIX.pack(MAGIC, VERSION, header_bytes, len(content) - header_bytes) + content
    return body + hashlib.sha256(body).digest()


TARGET = Target(
    name="program",
    seeds=_seeds,
    errors=(ProgramError,),
    read=_read,
    write=program_to_bytes,
    apart=_apart,
    together=_together,
    repaired=_repaired,
)
