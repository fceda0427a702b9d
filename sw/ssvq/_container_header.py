"""Strict reading of a container's header: which layers it describes, and where its tensors are.

See `ssvq.container` for the format.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import BinaryIO, Never, get_args

import torch

from ssvq._container_tensors import StoredShape, stored_tensors
from ssvq.quantize.description import NAME_LENGTH_MAX, LayerDescription, LayerError
from ssvq.quantize.formats import WeightFormat
from ssvq.quantize.layer import Activation, CompressedLayer
from ssvq.reference import ActivationScale

METADATA_KEY = "ssvq"
VERSION = 2
HEADER_BYTES_MAX = 1 << 24
LENGTH_BYTES = 8
DESCRIPTION_KEYS = (
    *("name", "kind", "format", "weight_shape", "codebook_size", "vector_dim"),
    *("keep", "group"),
    *("stride", "padding", "dilation", "groups", "output_padding"),
)
SCALE_KEYS = ("input_scale", "output_scale")
_LAYER_KEYS = {*DESCRIPTION_KEYS, *SCALE_KEYS, "scale_count", "has_bias", "activation"}
_DTYPES = {torch.uint8: "U8", torch.int8: "I8", torch.float32: "F32"}


class ContainerError(Exception):
    """A file is not a valid container, or layers cannot be put into one.

    Attributes:
        part: the tensor at fault, or "file", "header", "metadata" or "layer NAME" when the fault is not in a tensor.
        problem: the rule that is broken and the value found.
    """

    def __init__(self, part: str, problem: str) -> None:
        super().__init__(f"{part}: {problem}")
        self.part = part
        self.problem = problem


@dataclass(frozen=True, kw_only=True)
class StoredLayer:
    """What the metadata say about a layer.

    Attributes:
        description: of the layer.
        scale_count: number of scales.
        has_bias: whether there is a bias.
        input_scale, output_scale, activation: as in `CompressedLayer`.
    """

    description: LayerDescription
    scale_count: int
    has_bias: bool
    input_scale: ActivationScale | None
    output_scale: ActivationScale | None
    activation: Activation

    @classmethod
    def of(cls, layer: CompressedLayer) -> StoredLayer:
        """That of a layer."""
        return cls(
            description=layer,
            scale_count=layer.scale.numel(),
            has_bias=layer.bias is not None,
            input_scale=layer.input_scale,
            output_scale=layer.output_scale,
            activation=layer.activation,
        )

    def tensors(self) -> dict[str, StoredShape]:
        """dtype and shape in the file of every tensor."""
        return stored_tensors(self.description, self.scale_count, has_bias=self.has_bias)

    def to_entry(self) -> dict[str, object]:
        """The layer's entry in the metadata; the inverse of `_parse_layer`."""
        entry = {key: getattr(self.description, key) for key in DESCRIPTION_KEYS}
        entry |= {"scale_count": self.scale_count, "has_bias": self.has_bias, "activation": self.activation}
        for key in SCALE_KEYS:
            value: ActivationScale | None = getattr(self, key)
            # converted, as they may be NumPy's
            entry[key] = value and {
                "scale": float(value.scale),
                "zero_point": int(value.zero_point),
                "gains": [float(gain) for gain in value.gains],
            }
        return entry


def read_exactly(file: BinaryIO, count: int) -> bytes:
    """The next `count` bytes; a file that has become shorter is a ContainerError."""
    data = file.read(count)
    if len(data) != count:
        raise ContainerError("file", f"ended {count - len(data)} bytes early while it was read")
    return data


def read_header(file: BinaryIO, file_bytes: int) -> tuple[bytes, dict[str, object]]:
    """The bytes of the header with its length, and the parsed header."""
    if file_bytes < LENGTH_BYTES:
        raise ContainerError("file", f"must have at least {LENGTH_BYTES} bytes, not {file_bytes}")
    prefix = read_exactly(file, LENGTH_BYTES)
    length = int.from_bytes(prefix, "little")
    if length > HEADER_BYTES_MAX:
        raise ContainerError("header", f"must be at most {HEADER_BYTES_MAX} bytes, not {length}")
    if length > file_bytes - LENGTH_BYTES:
        raise ContainerError("header", f"must fit into the file of {file_bytes} bytes, not be {length}")
    text = read_exactly(file, length)
    if text[:1] != b"{":
        raise ContainerError("header", "must begin with '{'")
    return prefix + text, _parse_json("header", text)


def _parse_json(part: str, text: str | bytes) -> dict[str, object]:
    """Parse a JSON object strictly: UTF-8, no key twice, no NaN or infinity."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in pairs:
            if key in found:
                raise ContainerError(key, f"must not occur twice in the {part}")
            found[key] = value
        return found

    def refuse(constant: str) -> Never:
        raise ValueError(f"{constant} is not JSON")

    try:
        decoded = text if isinstance(text, str) else text.decode()
        parsed = json.loads(decoded, object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ContainerError(part, f"must be JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ContainerError(part, "must be a JSON object")
    return parsed


def parse_metadata(metadata: object) -> list[StoredLayer]:
    """What the metadata of a file say about every layer."""
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) and len(metadata) == 1 else None
    if not isinstance(text, str):
        raise ContainerError("metadata", f"must have the one entry {METADATA_KEY!r}")
    content = _parse_json("metadata", text)
    version = content.get("version")
    if type(version) is not int or version != VERSION:
        raise ContainerError("metadata", f"version must be {VERSION}, not {version!r:.40}")
    layers = content.get("layers")
    if set(content) != {"version", "layers"} or not isinstance(layers, list):
        raise ContainerError("metadata", "must have a version and a list of layers, and nothing else")
    found: dict[str, StoredLayer] = {}
    for number, entry in enumerate(layers):
        layer = _parse_layer(f"layer {number}", entry)
        name = layer.description.name
        if name in found:
            raise ContainerError(f"layer {name}", "must not occur twice")
        found[name] = layer
    return list(found.values())


def _parse_layer(part: str, entry: object) -> StoredLayer:
    if not isinstance(entry, dict) or set(entry) != _LAYER_KEYS:
        raise ContainerError(part, f"must have exactly the keys {', '.join(sorted(_LAYER_KEYS))}")
    name = entry["name"]
    if isinstance(name, str) and name.isprintable() and len(name) <= NAME_LENGTH_MAX:
        part = f"layer {name}"
    if not isinstance(entry["weight_shape"], list):
        raise ContainerError(part, "weight_shape must be a list")
    if not isinstance(entry["format"], str) or entry["format"] not in list(WeightFormat):
        raise ContainerError(part, f"format must be one of {', '.join(WeightFormat)}, not {entry['format']!r:.40}")
    fields = {key: entry[key] for key in DESCRIPTION_KEYS}
    fields |= {"weight_shape": tuple(entry["weight_shape"]), "format": WeightFormat(entry["format"])}
    try:
        description = LayerDescription(**fields)
    except LayerError as error:
        raise ContainerError(part, str(error)) from error
    scale_count, has_bias, activation = entry["scale_count"], entry["has_bias"], entry["activation"]
    allowed = {1} if description.format is WeightFormat.FLOAT else {1, description.weight_shape[0]}
    if type(scale_count) is not int or scale_count not in allowed:
        raise ContainerError(part, f"scale_count must be one of {sorted(allowed)}, not {scale_count!r:.40}")
    if type(has_bias) is not bool:
        raise ContainerError(part, f"has_bias must be true or false, not {has_bias!r:.40}")
    if activation not in get_args(Activation):
        known = ", ".join(get_args(Activation))
        raise ContainerError(part, f"activation must be one of {known}, not {activation!r:.40}")
    return StoredLayer(
        description=description,
        scale_count=scale_count,
        has_bias=has_bias,
        input_scale=_parse_scale(part, "input_scale", entry),
        output_scale=_parse_scale(part, "output_scale", entry),
        activation=activation,
    )


def _parse_scale(part: str, key: str, entry: dict[str, object]) -> ActivationScale | None:
    value = entry[key]
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != {"scale", "zero_point", "gains"}:
        raise ContainerError(part, f"{key} must be null or have exactly scale, zero_point and gains, not {value!r:.40}")
    scale, zero_point, gains = value["scale"], value["zero_point"], value["gains"]
    if type(scale) is not float or type(zero_point) is not int:
        raise ContainerError(part, f"{key} must have a scale with a point and an integer zero_point, not {value!r:.80}")
    if not isinstance(gains, list) or any(type(gain) is not float for gain in gains):
        raise ContainerError(part, f"{key} must have a list of gains with a point, not {gains!r:.80}")
    try:
        return ActivationScale(scale=scale, zero_point=zero_point, gains=tuple(gains))
    except ValueError as error:
        raise ContainerError(part, f"{key}: {error}") from error


def check_tensor_table(table: dict[str, object], expected: dict[str, StoredShape], data_bytes: int) -> None:
    """Check every tensor's entry, and that together, in their order, they cover the data exactly."""
    position = 0
    for name, entry in table.items():
        if name not in expected:
            raise ContainerError(name, "must belong to a layer of the metadata")
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ContainerError(name, "must have exactly a dtype, a shape and data_offsets")
        dtype, shape = expected[name]
        if entry["dtype"] != _DTYPES[dtype]:
            raise ContainerError(name, f"dtype must be {_DTYPES[dtype]}, not {entry['dtype']!r:.40}")
        if not _is_list_of_int(entry["shape"]) or entry["shape"] != list(shape):
            raise ContainerError(name, f"shape must be {list(shape)}, not {entry['shape']!r:.80}")
        end = position + math.prod(shape) * dtype.itemsize
        if not _is_list_of_int(entry["data_offsets"]) or entry["data_offsets"] != [position, end]:
            raise ContainerError(name, f"data_offsets must be {[position, end]}, not {entry['data_offsets']!r:.80}")
        if end > data_bytes:
            raise ContainerError(name, f"must end within the {data_bytes} bytes of data, not at {end}")
        position = end
    for name in expected:
        if name not in table:
            raise ContainerError(name, "is missing")
    if position != data_bytes:
        raise ContainerError("file", f"must end after the last tensor, not {data_bytes - position} bytes later")


def _is_list_of_int(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int for item in value)
