"""A program's file, and all ways in which its header can be wrong; every reader of such files has to refuse them."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

import numpy as np

from ssvq.compile import compile_layer
from ssvq.program_file import VERSION, program_to_bytes
from ssvq_gen.config import PRESETS, WeightFormat
from ssvq_sim.systems.layers import random_layer

LAYER = random_layer(np.random.default_rng(0), weight_format=WeightFormat.SSVQ, out_channels=20, in_channels=30)
PROGRAM = compile_layer(PRESETS["tiny"], LAYER, 100)
DATA = program_to_bytes(PROGRAM)


def rewritten(change: Any, *, image: bytes | None = None) -> bytes:
    """A file with a changed header and a correct digest."""
    header_bytes = struct.unpack_from("<I", DATA, 12)[0]
    header = json.loads(DATA[24 : 24 + header_bytes])
    change(header)
    text = json.dumps(header).encode()
    content = PROGRAM.image.tobytes() if image is None else image
    body = struct.pack("<8sIIQ", b"SSVQPROG", VERSION, len(text), len(content)) + text + content
    return body + hashlib.sha256(body).digest()


def _set(**values: Any) -> Any:
    return lambda header: header.update(values)


def _job(**values: Any) -> Any:
    return lambda header: header["jobs"][0].update(values)


def _input(**values: Any) -> Any:
    return lambda header: header["jobs"][0]["input"].update(values)


def _piece(**values: Any) -> Any:
    return lambda header: header["jobs"][0]["input"]["pieces"][0].update(values)


BAD_HEADERS: list[tuple[Any, str]] = [
    (_set(extra=1), "must have exactly"),
    (lambda header: header.pop("jobs"), "must have exactly"),
    (_set(word_bytes="8"), "word_bytes must be an integer, not '8'"),
    (_set(word_bytes=7), "word_bytes must be a power of two from 4 to 128, not 7"),
    (_set(config_digest=1 << 64), "config_digest must be 64 bits"),
    (_set(memory_bytes=1 << 33), "memory_bytes must be from"),
    (_set(memory_bytes=64), "memory_bytes must be from"),
    (_set(descriptor_offset=32), "are not in the image"),
    (_set(descriptor_count=60000), "are not in the image"),
    (_set(descriptor_count=0), "are not in the image"),
    (_set(jobs=3), "the jobs of the program are malformed"),
    (_set(jobs=[{}]), "the jobs of the program are malformed"),
    (_job(first_descriptor=100), "descriptors 100 to"),
    (_job(descriptor_count=1.5), r"1.5 is not an integer"),
    (_input(tokens=99), "its pieces do not cover 99 x 30 exactly once"),
    (_input(tokens=1000), "its pieces do not cover 1000 x 30 exactly once"),
    (_input(scale={"scale": -1, "zero_point": 0, "gains": []}), "scale must be positive"),
    (_piece(offset=1), "not aligned or not within the window"),
    (_piece(offset=1 << 40), "not aligned or not within the window"),
    (_piece(offset=0), "not aligned or not within the window"),
    (_piece(tokens=[50, 100]), "its pieces do not cover 100 x 30 exactly once"),
    (_piece(tokens=[50, 50]), "a piece is empty"),
    (_piece(tokens=[50]), r"\[50\] is not a pair"),
    (_piece(tokens=[0, 50, 100]), r"\[0, 50, 100\] is not a pair"),
    (lambda header: header["jobs"].append(header["jobs"][0]), "two jobs have the same name"),
]
"""A change to the header, and what is said of it."""
