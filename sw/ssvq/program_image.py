"""From descriptors with open DRAM offsets to a program: placing streams and tensors, jobs, and overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssvq_gen.arithmetic import ArithmeticRangeError
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DESCRIPTOR_BYTES, DRAM_ALIGNMENT, FormatError, Opcode, pack_descriptor

from .integer_weights import IntegerWeights
from .layer_arithmetic import CompileError
from .overlap import schedule
from .program import DESCRIPTORS_MAX, MEMORY_BYTES_MAX, Job, Piece, Program, Region
from .reference import ActivationScale
from .weight_stream import pack_stream, stream_format_of


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """The part of a job's input or output that a LOAD or STORE moves."""

    tokens: tuple[int, int]
    channels: tuple[int, int]
    scale: ActivationScale


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """A descriptor without its DRAM offset, which is that of `transfer`, the weight stream of `layer` or `constant`.

    constant : bytes that a LOAD finds in the image
    """

    job: str
    values: dict[str, int]
    transfer: Transfer | None = None
    layer: IntegerWeights | None = None
    constant: bytes | None = None


class ProgramImage:
    """Collects entries. DRAM has descriptors first, then weight streams and constants, then the tensors' parts."""

    def __init__(self, config: CoreConfig) -> None:
        self._config = config
        self._entries: list[Entry] = []
        self._jobs: dict[str, list[int]] = {}

    def add(self, entries: Sequence[Entry]) -> None:
        """Append entries of one job. Raises CompileError when that job is not the last one."""
        job = entries[0].job
        if job in self._jobs and self._entries[-1].job != job:
            raise CompileError(job, "a job of this name ended earlier: give this one another name")
        first = len(self._entries)
        self._jobs.setdefault(job, []).extend(range(first, first + len(entries)))
        self._entries.extend(entries)

    def build(self) -> Program:
        """The program. Raises CompileError."""
        if not self._entries:
            raise CompileError("", "a program needs at least one descriptor")
        last, count = self._entries[-1].job, len(self._entries)
        if count > DESCRIPTORS_MAX:
            raise CompileError(last, f"the program needs {count} descriptors, beyond {DESCRIPTORS_MAX}")
        end = _aligned(count * DESCRIPTOR_BYTES)
        streams: dict[int | bytes, tuple[int, bytes]] = {}
        for entry in self._entries:
            if (key := _key(entry)) is not None and key not in streams:
                data = entry.constant if entry.layer is None else _packed(self._config, entry.layer)
                streams[key] = end, data or b""
                end = _aligned(end + len(streams[key][1]))
        image_bytes = end
        descriptors, pieces = [], []
        for entry in self._entries:
            values, piece = dict(entry.values), None
            if (key := _key(entry)) is not None:
                values["dram_offset"] = streams[key][0]
            elif entry.transfer is not None:
                values["dram_offset"] = end
                piece = Piece(offset=end, tokens=entry.transfer.tokens, channels=entry.transfer.channels)
                end = _aligned(end + values["dram_bytes"])
            if end > MEMORY_BYTES_MAX:
                raise CompileError(entry.job, f"the program needs {end} bytes, beyond {MEMORY_BYTES_MAX}")
            descriptors.append(values)
            pieces.append(piece)
        image = np.zeros(image_bytes, dtype=np.uint8)
        packed = b"".join(pack_descriptor(d) for d in schedule(self._config, descriptors))
        for offset, data in [(0, packed), *streams.values()]:
            image[offset : offset + len(data)] = np.frombuffer(data, dtype=np.uint8)
        return Program(
            config_digest=self._config.digest,
            word_bytes=self._config.word_bytes,
            descriptor_offset=0,
            descriptor_count=count,
            memory_bytes=end,
            image=image,
            jobs=tuple(self._job(name, indices, pieces) for name, indices in self._jobs.items()),
        )

    def _job(self, name: str, indices: Sequence[int], pieces: Sequence[Piece | None]) -> Job:
        return Job(
            name=name,
            first_descriptor=indices[0],
            descriptor_count=len(indices),
            input=self._region(Opcode.LOAD, indices, pieces),
            output=self._region(Opcode.STORE, indices, pieces),
        )

    def _region(self, opcode: Opcode, indices: Sequence[int], pieces: Sequence[Piece | None]) -> Region | None:
        """What the job's LOADs or STOREs move; that the parts cover a tensor is checked by Program."""
        chosen = [i for i in indices if self._entries[i].values["opcode"] == opcode]
        parts = tuple(piece for i in chosen if (piece := pieces[i]) is not None)
        scales = {t.scale for i in chosen if (t := self._entries[i].transfer) is not None}
        if not parts:
            return None
        if len(scales) != 1:
            raise CompileError(self._entries[indices[0]].job, f"the parts of its tensor have {len(scales)} scales")
        return Region(
            tokens=max(piece.tokens[1] for piece in parts),
            channels=max(piece.channels[1] for piece in parts),
            scale=scales.pop(),
            pieces=parts,
        )


def _key(entry: Entry) -> int | bytes | None:
    """What is in the image for an entry: once for each layer, and for each content."""
    return id(entry.layer) if entry.layer is not None else entry.constant


def _aligned(offset: int) -> int:
    return -(-offset // DRAM_ALIGNMENT) * DRAM_ALIGNMENT


def _packed(config: CoreConfig, layer: IntegerWeights) -> bytes:
    try:
        return pack_stream(layer, stream_format_of(layer, config))
    except (FormatError, ArithmeticRangeError) as error:
        raise CompileError(layer.name, str(error)) from error
