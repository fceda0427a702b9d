"""Options that several commands have, and what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ssvq.network.files.model_source import ReadModel
    from ssvq.network.files.weight_rules import WeightRules

MODEL_HELP = "deit_tiny, efficientnet_lite0, minilm, ..., timm:NAME, file:PATH.py:FUNCTION or FILE.onnx"

Model = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)]
Checkpoint = Annotated[Path | None, typer.Option(help="Weights of the model, .safetensors or of torch.save.")]
ModelOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="KEY=VALUE", help="Argument of the model's factory in JSON, as classes=10; repeatable."
    ),
]
InputShapes = Annotated[
    list[str] | None,
    typer.Option(
        "--input-shape",
        metavar="[NAME=]1,3,224,224[:DTYPE]",
        help="Of each input in order, where the model does not say; of an ONNX file by name, if it has several inputs.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Of random weights, noise and k-means.")]
Format = Annotated[str | None, typer.Option(help="Of the weights: ssvq (if not given), vq, int8, int4, ..., float.")]
CodebookSize = Annotated[int | None, typer.Option(help="Codewords k, a power of two; 16 if not given.")]
VectorDim = Annotated[int | None, typer.Option(help="Weights d of a codeword; 8 if not given.")]
Rules = Annotated[
    list[str] | None,
    typer.Option(
        "--rule",
        metavar="PATTERN=FORMAT[:K:D]",
        help="Other weights for layers whose names match, as 'head=int8'; repeatable, the first that matches decides.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def read(
    model: str,
    checkpoint: Path | None,
    options: list[str] | None,
    shapes: list[str] | None,
    seed: int,
) -> ReadModel:
    """The graph of a model. Raises ValueError, ImportError and what the model itself raises."""
    from ssvq.network.files.model_source import InputShape, ModelSource, read_model

    source = ModelSource(
        spec=model,
        checkpoint=checkpoint,
        options=dict(map(_option, options or ())),
        input_shapes=tuple(map(InputShape.parse, shapes or ())),
        seed=seed,
    )
    return read_model(source)


_PYTHON = {"True": "true", "False": "false", "None": "null"}


def _option(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(f"an option must be KEY=VALUE, not {text!r}")
    if value in _PYTHON:  # as text it would count as true
        raise ValueError(f"an option's value must be JSON, or text: {key}={_PYTHON[value]}, not {text}")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def weight_rules(
    format: str | None, codebook_size: int | None, vector_dim: int | None, rules: list[str] | None, seed: int
) -> WeightRules:
    """How weights are stored. Raises ValueError for unknown formats, sizes out of range and rules of another form."""
    from ssvq.network.files.weight_rules import WeightRules, parse_rule, quantize_config
    from ssvq.quantize.formats import WeightFormat

    format = format or WeightFormat.SSVQ.value
    known = [one.value for one in WeightFormat]
    if format not in known:
        raise ValueError(f"format must be one of {', '.join(known)}, not {format!r}")
    default = quantize_config(WeightFormat(format), codebook_size=codebook_size, vector_dim=vector_dim, seed=seed)
    return WeightRules(default=default, rules=tuple(parse_rule(rule, seed=seed) for rule in rules or ()))
