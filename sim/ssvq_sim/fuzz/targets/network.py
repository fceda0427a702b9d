"""Compiled networks."""

from __future__ import annotations

from typing import Any

import safetensors.numpy
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ssvq.network import graph_of, work_report
from ssvq.network.calibration import calibrate
from ssvq.network.compression import compress_graph
from ssvq.network.files.network_file import (
    METADATA_KEY,
    CompiledModel,
    NetworkFileError,
    content_digest,
    network_from_bytes,
    network_to_bytes,
)
from ssvq.network.hosting.assembly import assemble, core_candidates
from ssvq.network.report.layer_summary import summarize
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq_gen.config import PRESETS

from ..target import Target, Tree, UnwritableError
from . import safetensors_parts
from .json_text import json_text, json_tree

_CONFIG = PRESETS["tiny"]


class _Rows(nn.Module):
    """Two layers, a LayerNorm and a sum on the core, and a sort on the host between them."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.first, self.second = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second((x + self.first(self.norm(x))).sort(1).values)
        return y


class _Image(nn.Module):
    """A convolution and a pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


def _seeds() -> list[bytes]:
    coded = QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=4, vector_dim=4, iterations=1, refine_rounds=1)
    plain = QuantizeConfig(format=WeightFormat.INT8)
    return [_bytes(_Rows(), (1, 3, 8), coded), _bytes(_Image(), (1, 2, 4, 4), plain)]


def _bytes(module: nn.Module, shape: tuple[int, ...], weights: QuantizeConfig) -> bytes:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    x = torch.randn(shape, generator=generator)
    graph = graph_of(module.eval(), (x,))
    layers = compress_graph(core_candidates(graph, _CONFIG), lambda node: weights)
    made = assemble(graph, calibrate(graph, [(x,)]), layers, _CONFIG)
    model = CompiledModel(
        name="net",
        config=_CONFIG,
        network=made.network,
        layers=summarize(graph, layers),
        work=work_report(graph, reason=made.partition.reason),
        sample=dict.fromkeys(graph.inputs, x),
        expected={},
    )
    return network_to_bytes(model)


def _apart(data: bytes) -> Tree:
    tree = safetensors_parts.apart(data)
    about = _about(tree)
    about["network"] = json_tree(about["network"])
    return tree


def _about(tree: Tree) -> dict[str, Any]:
    """What the metadata say of the network; raises UnwritableError where they say nothing."""
    try:
        about: dict[str, Any] = tree["header"][safetensors_parts.METADATA][METADATA_KEY]
        _ = about["network"], about["sha256"]
    except (TypeError, KeyError, IndexError) as error:
        raise UnwritableError("no network") from error
    return about


def _together(tree: Tree) -> bytes:
    """With the digest of what it has; without a network, as it is."""
    try:
        about = _about(tree)
        if not isinstance(about["network"], str):
            about["network"] = json_text(about["network"]).decode("utf-8", "surrogatepass")
        arrays = safetensors.numpy.load(safetensors_parts.together(tree))
        about["sha256"] = content_digest(about["network"], arrays)
    except (UnwritableError, SafetensorError, ValueError, TypeError, KeyError):
        pass
    return safetensors_parts.together(tree)


def _repaired(data: bytes) -> bytes:
    """With the length of the header, and the digest."""
    whole = safetensors_parts.repaired(data)
    try:
        return _together(safetensors_parts.apart(whole))
    except UnwritableError:
        return whole


TARGET = Target(
    name="network",
    seeds=_seeds,
    errors=(NetworkFileError,),
    read=network_from_bytes,
    write=network_to_bytes,
    apart=_apart,
    together=_together,
    repaired=_repaired,
)
