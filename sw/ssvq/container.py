"""Files of compressed layers: safetensors with one metadata entry, `ssvq`, that describes the layers.

The entry is JSON: `{"version": 2, "layers": [{"name", "kind", "format", "weight_shape", "codebook_size", "vector_dim",
"keep", "group", "stride", "padding", "dilation", "groups", "output_padding", "scale_count", "has_bias", "activation",
"input_scale", "output_scale"}, ...]}`, an activation's scale being null or `{"scale", "zero_point", "gains"}`. The
tensors of layer `L` are named `L.codebook`, `L.indices`, `L.signs`, `L.mask`, `L.weight_int8`, `L.weight_float`,
`L.scale` and `L.bias`, as its format has them.

Some are packed, values in row-major order, the first in the least significant bits of the first byte, and zeros fill
the last byte; so the file holds the bits that `storage_bits` counts. Packed are indices, into log2(k) bits each; signs,
into one; masks, the number of each group's pattern into ceil(log2(C(group, keep))) bits (`ssvq.quantize.masks` says
which number); the integers of INT4, INT3 and INT2, two's complement, into that many bits. Those of INT8 are bytes.

A file is data from anywhere: `load` checks everything it uses before it uses it, runs nothing from the file, and
allocates no more than a fixed multiple of the file's size.
"""

from __future__ import annotations

import json
import os
import stat
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
    SCALE_KEYS,
    VERSION,
    ContainerError,
    StoredLayer,
    check_tensor_table,
    parse_metadata,
    read_exactly,
    read_header,
)
from ssvq._container_tensors import restore_tensor, store_tensor
from ssvq.files import write_atomically
from ssvq.quantize.description import LayerError
from ssvq.quantize.layer import CompressedLayer

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
        stored = StoredLayer.of(layer)
        entries[layer.name] = stored.to_entry()
        for field in stored.tensors():
            tensors[f"{layer.name}.{field}"] = store_tensor(layer, field, getattr(layer, field))
    description = json.dumps({"version": VERSION, "layers": list(entries.values())}, separators=(",", ":"))
    data = safetensors.torch.save(tensors, metadata={METADATA_KEY: description})
    header_bytes = int.from_bytes(data[:LENGTH_BYTES], "little")
    if header_bytes > HEADER_BYTES_MAX:
        raise ContainerError("header", f"must be at most {HEADER_BYTES_MAX} bytes, not {header_bytes}")
    write_atomically(Path(path), data)


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
        layers = parse_metadata(header.pop("__metadata__", None))
        expected = {
            f"{layer.description.name}.{field}": shape for layer in layers for field, shape in layer.tensors().items()
        }
        check_tensor_table(header, expected, data_bytes)
        content = read_exactly(file, data_bytes)
    try:
        tensors = safetensors.torch.load(prefix + content)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise ContainerError("file", f"is refused by safetensors: {error}") from error
    return {layer.description.name: _restore(layer, tensors) for layer in layers}


def _restore(layer: StoredLayer, tensors: dict[str, Tensor]) -> CompressedLayer:
    description = layer.description
    fields: dict[str, Any] = {key: getattr(description, key) for key in DESCRIPTION_KEYS}
    fields |= {key: getattr(layer, key) for key in (*SCALE_KEYS, "activation")}
    fields["scale"] = torch.ones(1)
    for field in layer.tensors():
        part = f"{description.name}.{field}"
        try:
            fields[field] = restore_tensor(description, field, tensors[part])
        except ValueError as error:
            raise ContainerError(part, str(error)) from error
    try:
        return CompressedLayer(**fields)
    except LayerError as error:
        raise ContainerError(f"{description.name}.{error.field}", error.problem) from error
