"""Files of compressed layers: safetensors with one metadata entry, `ssvq`, that describes the layers.

The entry is JSON: `{"version": 1, "layers": [{"name", "kind", "format", "weight_shape", "codebook_size", "vector_dim",
"stride", "padding", "dilation", "groups", "scale_count", "has_bias"}, ...]}`. The tensors of layer `L` are named
`L.codebook`, `L.indices`, `L.signs`, `L.weight_int8`, `L.weight_float`, `L.scale` and `L.bias`, as its format has them.
Indices are packed into log2(k) bits each and signs into one, in row-major order, the first in the least significant
bits of the first byte, and zeros fill the last byte; so the file holds the bits that `storage_bits` counts.

A file is data from anywhere: `load` checks everything it uses before it uses it, runs nothing from the file, and
allocates no more than a fixed multiple of the file's size.
"""

from __future__ import annotations

import json
import math
import os
import stat
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ssvq._container_header import (
    DESCRIPTION_KEYS,
    HEADER_BYTES_MAX,
    LENGTH_BYTES,
    METADATA_KEY,
    VERSION,
    ContainerError,
    bit_width,
    check_tensor_table,
    parse_metadata,
    read_exactly,
    read_header,
    stored_tensors,
)
from ssvq.quantize.description import LayerDescription, LayerError
from ssvq.quantize.layer import CompressedLayer
from ssvq.quantize.packing import pack_bits, unpack_bits

__all__ = ["ContainerError", "load", "save"]


def save(path: str | os.PathLike[str], layers: Iterable[CompressedLayer] | Mapping[str, CompressedLayer]) -> None:
    """Write layers to a file. The file appears whole or not at all, and the same layers give the same bytes.

    Args:
        path: the file; an existing one is replaced.
        layers: in the order in which `load` returns them; of a mapping, the values.

    Raises:
        ContainerError: two layers have one name, or the description is too long.
        OSError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    entries: dict[str, dict[str, object]] = {}
    for layer in layers.values() if isinstance(layers, Mapping) else layers:
        if layer.name in entries:
            raise ContainerError(f"layer {layer.name}", "must have a name of its own")
        entry = {key: getattr(layer, key) for key in DESCRIPTION_KEYS}
        entries[layer.name] = entry | {"scale_count": layer.scale.numel(), "has_bias": layer.bias is not None}
        for field in stored_tensors(layer, layer.scale.numel(), has_bias=layer.bias is not None):
            tensor: Tensor = getattr(layer, field).detach().cpu().contiguous()
            if field in ("indices", "signs"):
                tensor = pack_bits(tensor, bit_width(layer, field))
            tensors[f"{layer.name}.{field}"] = tensor
    description = json.dumps({"version": VERSION, "layers": list(entries.values())}, separators=(",", ":"))
    data = safetensors.torch.save(tensors, metadata={METADATA_KEY: description})
    header_bytes = int.from_bytes(data[:LENGTH_BYTES], "little")
    if header_bytes > HEADER_BYTES_MAX:
        raise ContainerError("header", f"must be at most {HEADER_BYTES_MAX} bytes, not {header_bytes}")
    _write_atomically(Path(path), data)


def load(path: str | os.PathLike[str]) -> dict[str, CompressedLayer]:
    """Read and check a file written by `save`.

    Returns:
        The layers by name, in the order in which they were saved.

    Raises:
        ContainerError: anything about the content is not as it must be.
        OSError: the file cannot be read.
    """
    if not stat.S_ISREG(Path(path).stat().st_mode):  # opening a pipe could wait for ever
        raise ContainerError("file", "must be a regular file")
    with Path(path).open("rb") as file:
        file_bytes = os.fstat(file.fileno()).st_size
        prefix, header = read_header(file, file_bytes)
        data_bytes = file_bytes - len(prefix)
        descriptions = parse_metadata(header.pop("__metadata__", None))
        expected = {
            f"{description.name}.{field}": shape
            for description, scale_count, has_bias in descriptions
            for field, shape in stored_tensors(description, scale_count, has_bias=has_bias).items()
        }
        check_tensor_table(header, expected, data_bytes)
        content = read_exactly(file, data_bytes)
    try:
        tensors = safetensors.torch.load(prefix + content)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise ContainerError("file", f"is refused by safetensors: {error}") from error
    return {d.name: _restore(d, scale_count, has_bias, tensors) for d, scale_count, has_bias in descriptions}


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        # not the tempfile module, whose files only their owner may read
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _restore(
    description: LayerDescription, scale_count: int, has_bias: bool, tensors: dict[str, Tensor]
) -> CompressedLayer:
    fields: dict[str, Any] = {key: getattr(description, key) for key in DESCRIPTION_KEYS}
    for field in stored_tensors(description, scale_count, has_bias=has_bias):
        tensor = tensors[f"{description.name}.{field}"]
        if field in ("indices", "signs"):
            dtype, shape = description.weight_tensors()[field]
            try:
                tensor = unpack_bits(tensor, bit_width(description, field), math.prod(shape)).view(shape).to(dtype)
            except ValueError as error:
                raise ContainerError(f"{description.name}.{field}", str(error)) from error
        fields[field] = tensor
    fields.setdefault("scale", torch.ones(1))
    try:
        return CompressedLayer(**fields)
    except LayerError as error:
        raise ContainerError(f"{description.name}.{error.field}", error.problem) from error
