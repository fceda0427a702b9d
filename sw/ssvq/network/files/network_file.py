"""Compiled networks as files: all that running, inspecting and reporting need, without the model's code.

A file is one of safetensors, whose single metadata entry `ssvqnet` is JSON: `{"version", "sha256", "network"}`. The
network is what `ssvq.network.files.tree_codec` writes of a `CompiledModel`, and its arrays are the file's tensors. The
digest is over the network's JSON and all arrays. No code is in a file: what the host runs is named, out of fixed lists
(`ssvq.network.hosting.operation_names`).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from safetensors import SafetensorError

from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.files import write_atomically
from ssvq.integer_convolution import IntegerConvolution
from ssvq.integer_layer import IntegerLayer
from ssvq.network import operators as ops
from ssvq.network.errors import GraphError
from ssvq.network.files import host_functions
from ssvq.network.files.network_check import check_network
from ssvq.network.files.plan_check import check_plan
from ssvq.network.files.tree_codec import Array, Codec, CodecError
from ssvq.network.graph import Graph, Node
from ssvq.network.hosting.partitioned_network import CorePart, HostPart, PartitionedNetwork
from ssvq.network.integer import integer_network as steps
from ssvq.network.integer.strided import Block, View
from ssvq.network.program.emission import CompiledNetwork
from ssvq.network.program.memory_plan import Lifetime, MemoryPlan
from ssvq.network.report.layer_summary import LayerSummary
from ssvq.network.tensor_type import TensorType
from ssvq.network.work_report import NodeWork, WorkReport
from ssvq.product import IntegerProduct
from ssvq.program import Job, Piece, Program, Region
from ssvq.reference import ActivationScale
from ssvq.vector_operation import VectorOperation
from ssvq.window_operation import WindowOperation
from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_gen.format import Opcode

VERSION = 2
METADATA_KEY = "ssvqnet"
SUFFIX = ".ssvqnet"
_HEADER_BYTES_MAX = 100_000_000
"""What safetensors reads at most."""
_LENGTH_BYTES = 8


class NetworkFileError(ValueError):
    """A file is not a usable compiled network, or a network cannot be written; the text says what and the rule."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CompiledModel:
    """A network compiled for a core, with what it was made of.

    Attributes:
        name: of the model.
        config: of the core.
        network: its parts.
        layers: what became of each layer's weights.
        work: multiplications, weights and crossing bytes of every node, and why some are on the host.
        preparation: how an image becomes an input, see `ssvq.network.images`; "" where there is none.
        sample: an input of the model, by name.
        expected: what the float model gives for it, by output.
    """

    name: str
    config: CoreConfig
    network: PartitionedNetwork
    layers: tuple[LayerSummary, ...]
    work: WorkReport
    preparation: str = ""
    sample: Mapping[str, torch.Tensor]
    expected: Mapping[str, torch.Tensor]

    def __post_init__(self) -> None:
        for field in ("sample", "expected"):
            object.__setattr__(self, field, MappingProxyType(dict(getattr(self, field))))
        self.network.checked(tuple(self.sample.values()))
        for part in self.network.core_parts:
            if part.compiled.program.config_digest != self.config.digest:
                raise GraphError(part.name, f"its program is not for the core {self.config.name}")


CODEC = Codec.of(
    (
        *(CompiledModel, PartitionedNetwork, CorePart, HostPart, CompiledNetwork, LayerSummary, WorkReport, NodeWork),
        *(Graph, Node, TensorType, ops.Function, *host_functions.CLASSES),
        *(kind for kind in vars(ops).values() if isinstance(kind, type) and issubclass(kind, ops.Operator)),
        *(steps.IntegerNetwork, steps.StoredTensor, steps.NetworkInput),
        *(steps.LinearStep, steps.ProductStep, steps.VectorStep, steps.ImageStep, steps.TransferStep),
        *(Block, View, MemoryPlan, Lifetime, Program, Job, Region, Piece, ActivationScale),
        *(IntegerLayer, IntegerConvolution, IntegerProduct, VectorOperation, WindowOperation, ConvolutionGeometry),
        *(CoreConfig, WeightFormat, Opcode),
    )
)
"""All classes that a file may have."""


def network_to_bytes(model: CompiledModel) -> bytes:
    """The content of a file, the same bytes for the same model. Raises NetworkFileError for what none can hold."""
    try:
        for part in model.network.host_parts:
            host_functions.require_known_functions(part.graph)
        data, arrays = CODEC.encode(model)
    except (CodecError, GraphError) as error:
        raise NetworkFileError(str(error)) from error
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    about = {"version": VERSION, "sha256": content_digest(text, arrays), "network": text}
    content = safetensors.numpy.save(arrays, metadata={METADATA_KEY: json.dumps(about, separators=(",", ":"))})
    header_bytes = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if header_bytes > _HEADER_BYTES_MAX:
        raise NetworkFileError(f"the description must be at most {_HEADER_BYTES_MAX} bytes, not {header_bytes}")
    return bytes(content)


def network_from_bytes(content: bytes) -> CompiledModel:
    """Inverse of `network_to_bytes`. Raises NetworkFileError for anything else."""
    about = _about(metadata_of(content))
    try:
        arrays = safetensors.numpy.load(content)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise NetworkFileError(f"the tensors are refused by safetensors: {error}") from error
    text = about["network"]
    try:
        digest = content_digest(text, arrays)
    except UnicodeEncodeError as error:
        raise NetworkFileError(f"the network's text is refused: {error}") from error
    if digest != about["sha256"]:
        raise NetworkFileError("the digest does not match the content")
    try:
        model: CompiledModel = CODEC.decode(json.loads(text), arrays, CompiledModel)
        for core in model.network.core_parts:
            check_network(core.compiled.network)
            check_plan(core.compiled, model.config)
        for host in model.network.host_parts:
            host_functions.require_known_functions(host.graph)
    except Exception as error:  # whatever a class, whose values may be any here, makes of them
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise NetworkFileError(f"the network is malformed: {reason}") from error
    return model


def metadata_of(content: bytes) -> Mapping[str, Any]:
    """The metadata of a safetensors file, from its header on; raises NetworkFileError where there are none."""
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if len(content) < _LENGTH_BYTES or length > min(_HEADER_BYTES_MAX, len(content) - _LENGTH_BYTES):
        raise NetworkFileError(f"its {len(content)} bytes are no compiled network, or not all of one")
    try:
        header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
    except (ValueError, RecursionError) as error:
        raise NetworkFileError(f"the header is not JSON: {error}") from error
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict):
        raise NetworkFileError("the header has no metadata")
    return metadata


def _about(metadata: Mapping[str, Any]) -> dict[str, Any]:
    text = metadata.get(METADATA_KEY)
    if not isinstance(text, str):
        raise NetworkFileError(f"the metadata must have {METADATA_KEY}: this is not a compiled network")
    try:
        about = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NetworkFileError(f"the metadata are not JSON: {error}") from error
    if not isinstance(about, dict) or about.get("version") != VERSION:
        found = about.get("version") if isinstance(about, dict) else about
        raise NetworkFileError(f"the version of a compiled network must be {VERSION}, not {found!r:.80}")
    if set(about) != {"version", "sha256", "network"} or not isinstance(about["network"], str):
        raise NetworkFileError("the metadata must have exactly version, sha256, network")
    return about


def content_digest(text: str, arrays: Mapping[str, Array]) -> str:
    """The hash of a network's JSON and all arrays. Raises UnicodeEncodeError for a text that is none."""
    found = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name}:{array.dtype.name}:{array.shape}".encode())
        found.update(np.array(array, order="C").tobytes())
    return found.hexdigest()


def save_network(model: CompiledModel, path: str | os.PathLike[str]) -> None:
    """Write a file, which appears whole or not at all.

    Raises:
        NetworkFileError: there is something that no file can hold.
        OSError: the file cannot be written.
    """
    write_atomically(Path(path), network_to_bytes(model))


def load_network(path: str | os.PathLike[str]) -> CompiledModel:
    """Read and check a file written by `save_network`.

    Raises:
        NetworkFileError: it is not one; the text names the file.
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(Path(path).stat().st_mode):  # opening a pipe could wait for ever
        raise NetworkFileError(f"{path}: it must be a regular file")
    try:
        return network_from_bytes(Path(path).read_bytes())
    except NetworkFileError as error:
        raise NetworkFileError(f"{path}: {error}") from error
