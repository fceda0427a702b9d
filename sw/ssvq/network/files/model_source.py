"""Graphs of models that are given by name or file, as commands take them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from ssvq.models.inputs import INPUTS, ModelInputs
from ssvq.models.registry import load_model
from ssvq.network.errors import GraphError
from ssvq.network.front.from_torch import graph_of
from ssvq.network.graph import Graph
from ssvq.network.tensor_type import DTYPES, Shape, short

ONNX_SUFFIX = ".onnx"
FILE_PREFIX = "file:"


@dataclass(frozen=True, kw_only=True)
class InputShape:
    """An input as `[NAME=]1,3,224,224[:int64]` says it.

    Attributes:
        name: of an ONNX file's input; "" for its only one, and for other models.
        shape: of the input.
        dtype: of the input; None where the text has none.
    """

    name: str
    shape: Shape
    dtype: torch.dtype | None

    @classmethod
    def parse(cls, text: str) -> InputShape:
        """Raises ValueError for another form."""
        name, _, rest = text.rpartition("=")
        sizes, colon, dtype = rest.partition(":")
        dtypes = {short(known): known for known in DTYPES}
        numbers = sizes.split(",")
        if not all(number.strip().isdecimal() and int(number) > 0 for number in numbers) or (
            colon and dtype not in dtypes
        ):
            known = ", ".join(dtypes)
            raise ValueError(f"an input shape must be [NAME=]1,3,224,224[:DTYPE], DTYPE of {known}, not {text!r}")
        return cls(name=name, shape=tuple(map(int, numbers)), dtype=dtypes[dtype] if colon else None)


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A model, and what is needed to make its graph.

    Attributes:
        spec: as `ssvq.models.registry.load_model` takes it, or an ONNX file.
        checkpoint: weights; not for ONNX files.
        options: of the model's factory.
        input_shapes: where they are not known from the model.
        seed: of weights that are random.
    """

    spec: str
    checkpoint: Path | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    input_shapes: tuple[InputShape, ...] = ()
    seed: int = 0

    @property
    def name(self) -> str:
        """For tables: of a function in a file, both."""
        if self.is_onnx:
            return Path(self.spec).stem
        place, _, name = self.spec.rpartition(":")
        return f"{Path(place.removeprefix(FILE_PREFIX)).name}:{name}" if place.startswith(FILE_PREFIX) else name

    @property
    def is_onnx(self) -> bool:
        """Whether it is an ONNX file."""
        return Path(self.spec).suffix == ONNX_SUFFIX


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadModel:
    """A graph, and how images become its input ("" where that is not known)."""

    name: str
    graph: Graph
    preparation: str


def read_model(source: ModelSource) -> ReadModel:
    """The float graph of a model.

    Raises:
        GraphError: it has none, or the shapes of its inputs are not known or not those of the file.
        ValueError: `load_model` refuses the spec, the options or the checkpoint.
        ImportError: a package is missing.
    """
    if source.is_onnx:
        return ReadModel(name=source.name, graph=_onnx_graph(source), preparation="")
    torch.manual_seed(source.seed)
    options = dict(source.options)
    model = load_model(source.spec, options=options | ({"checkpoint": source.checkpoint} if source.checkpoint else {}))
    inputs = _inputs(source, model)
    graph = graph_of(model, tuple(map(_example, inputs.shapes, inputs.dtypes)))
    return ReadModel(name=source.name, graph=graph, preparation=inputs.preparation)


def _onnx_graph(source: ModelSource) -> Graph:
    if source.checkpoint is not None or source.options:
        raise GraphError(source.spec, "an ONNX file has its weights: it takes neither a checkpoint nor options")
    if not Path(source.spec).is_file():
        raise GraphError(source.spec, "the file must exist")
    from_onnx = importlib.import_module("ssvq.network.front.from_onnx")  # needs the package onnx, of the extra `models`
    shapes = {own.name: own.shape for own in source.input_shapes}
    if len(shapes) != len(source.input_shapes):
        names = ", ".join(own.name or "one without a name" for own in source.input_shapes)
        raise GraphError(
            source.spec, f"an ONNX file's input shapes must each have the name of another input, not {names}"
        )
    for own in source.input_shapes:
        if own.dtype is not None:
            rule = f"an ONNX file has the types of its inputs: an input shape must be without :{short(own.dtype)}"
            raise GraphError(own.name or source.spec, rule)
    graph: Graph = from_onnx.graph_of_onnx(Path(source.spec), input_shapes=shapes)
    return graph


def _inputs(source: ModelSource, model: nn.Module) -> ModelInputs:
    known = INPUTS.get(source.spec)
    for own in source.input_shapes:
        if own.name:
            raise GraphError(own.name, "input shapes must be in order and without names, but for an ONNX file")
    if source.input_shapes:
        return ModelInputs(
            shapes=tuple(own.shape for own in source.input_shapes),
            dtypes=tuple(short(own.dtype or torch.float32) for own in source.input_shapes),
            preparation=known.preparation if known else _preparation(source.input_shapes[0].shape),
        )
    if known is not None:
        return known
    size = getattr(model, "default_cfg", {}).get("input_size")  # timm's
    if isinstance(size, tuple):
        return ModelInputs(shapes=((1, *size),), preparation=_preparation((1, *size)))
    raise GraphError(source.name, "the shapes of its inputs are not known: give --input-shape, as 1,3,224,224")


def _preparation(shape: Shape) -> str:
    return "imagenet" if len(shape) == 4 and shape[1] == 3 and shape[2] == shape[3] else ""


def _example(shape: Shape, dtype: str) -> Tensor:
    kind: torch.dtype = getattr(torch, dtype)
    return torch.ones(shape, dtype=kind) if kind is torch.bool else torch.zeros(shape, dtype=kind)
