"""From descriptors with open DRAM offsets to a program: placing streams and tensors, jobs, and overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ssvq_gen.arithmetic import ArithmeticRangeError
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DESCRIPTOR_BYTES, DRAM_ALIGNMENT, FormatError, Opcode, pack_descriptor

from .dram_tensor import DramRole, DramTensor
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
    """A descriptor without its DRAM offset: that of `transfer`, the weight stream of `layer`, `constant` or `place`.

    constant : bytes that a LOAD finds in the image
    place : name of a tensor that is in DRAM, and a token of it
    """

    job: str
    values: dict[str, int]
    transfer: Transfer | None = None
    layer: IntegerWeights | None = None
    constant: bytes | None = None
    place: tuple[str, int] | None = None


class ProgramImage:
    """Collects entries.

    DRAM has descriptors first, then weight streams and constants, tensors that are there as a whole, and the parts of
    all others.
    """

    def __init__(self, config: CoreConfig) -> None:
        self._config = config
        self._entries: list[Entry] = []
        self._jobs: dict[str, list[int]] = {}
        self._tensors: dict[str, DramTensor] = {}

    def declare(self, tensor: DramTensor) -> None:
        """Give a tensor room in DRAM. Raises CompileError when another one has its name."""
        if tensor.name in self._tensors:
            raise CompileError(tensor.name, "another tensor in DRAM has this name")
        self._tensors[tensor.name] = tensor

    def tensor(self, name: str) -> DramTensor:
        """The tensor of that name. Raises CompileError when none was declared."""
        if name not in self._tensors:
            raise CompileError(name, "no tensor of this name was declared to be in DRAM")
        return self._tensors[name]

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
        offsets: dict[str, int] = {}
        for name, tensor in self._tensors.items():
            offsets[name] = end
            end = _aligned(end + tensor.tokens * tensor.token_bytes(self._config))
        descriptors, pieces = [], []
        for entry in self._entries:
            values, piece = dict(entry.values), None
            if (key := _key(entry)) is not None:
                values["dram_offset"] = streams[key][0]
            elif entry.transfer is not None:
                values["dram_offset"] = end
                piece = Piece(offset=end, tokens=entry.transfer.tokens, channels=entry.transfer.channels)
                end = _aligned(end + values["dram_bytes"])
            elif entry.place is not None:
                name, token = entry.place
                values["dram_offset"] = offsets[name] + token * self._tensors[name].token_bytes(self._config)
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
            jobs=self._all_jobs(offsets, pieces),
        )

    def _all_jobs(self, offsets: dict[str, int], pieces: Sequence[Piece | None]) -> tuple[Job, ...]:
        wholes = self._wholes(offsets)
        return tuple(
            Job(
                name=name,
                first_descriptor=indices[0],
                descriptor_count=len(indices),
                input=self._region(Opcode.LOAD, indices, pieces, wholes),
                output=self._region(Opcode.STORE, indices, pieces, wholes),
            )
            for name, indices in self._jobs.items()
        )

    def _wholes(self, offsets: dict[str, int]) -> dict[int, Region]:
        """Tensors in DRAM by the descriptor that makes them a job's: an input's first LOAD, an output's last STORE."""
        deciding: dict[str, int] = {}
        for index, entry in enumerate(self._entries):
            if entry.place is not None:
                name, opcode = entry.place[0], entry.values["opcode"]
                if self._tensors[name].role is DramRole.INPUT and opcode == Opcode.LOAD:
                    deciding.setdefault(name, index)
                if self._tensors[name].role is DramRole.OUTPUT and opcode == Opcode.STORE:
                    deciding[name] = index
        return {index: self._tensors[name].region(offsets[name]) for name, index in deciding.items()}

    def _region(
        self, opcode: Opcode, indices: Sequence[int], pieces: Sequence[Piece | None], wholes: Mapping[int, Region]
    ) -> Region | None:
        """What the job's LOADs or STOREs move; that the parts cover a tensor is checked by Program."""
        chosen = [i for i in indices if self._entries[i].values["opcode"] == opcode]
        parts = tuple(piece for i in chosen if (piece := pieces[i]) is not None)
        scales = {t.scale for i in chosen if (t := self._entries[i].transfer) is not None}
        whole = [wholes[i] for i in chosen if i in wholes]
        if len(whole) + bool(parts) > 1:
            rule = f"a job has one input and one output, not {len(whole) + bool(parts)}"
            raise CompileError(self._entries[indices[0]].job, rule)
        if not parts:
            return whole[0] if whole else None
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
