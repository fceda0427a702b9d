"""`ssvq compress`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ssvq.cli import options
from ssvq.cli.display import console, print_json, progress
from ssvq.cli.errors import bad_input

HELP = """Compress all layers of a model after training, and write them to a container.

\b
    ssvq compress deit_tiny -o deit.ssvq
    ssvq compress fashion_vit --checkpoint vit.safetensors --codebook-size 256 --vector-dim 4 -o vit.ssvq
    ssvq compress model.onnx -o model.ssvq --rule 'head=int8' --rule '*.fc?=ssvq:256:8'
    ssvq compress file:model.py:build --input-shape 1,16 -o model.ssvq --format int8 --json

The layers are those of the model's graph: with the batch norms that follow them, by the names of the graph's nodes,
which are the modules' where there are modules. The table has the bits of each layer for each of its weights,
codebooks, scales and padding included, and the signal to noise ratio of the weights.

`ssvq train` finds better weights of the same size, with data. `ssvq compile --layers model.ssvq` takes either file.
"""


def compress(
    model: options.Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="Container of compressed layers to write.")],
    format: options.Format = None,
    codebook_size: options.CodebookSize = None,
    vector_dim: options.VectorDim = None,
    rule: options.Rules = None,
    checkpoint: options.Checkpoint = None,
    option: options.ModelOptions = None,
    input_shape: options.InputShapes = None,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Compress a model; the text above is the user's."""
    with bad_input():
        from ssvq.container import save
        from ssvq.network.files.weight_rules import compress_with, layer_nodes
        from ssvq.network.report.layer_summary import summarize, summary_table, total_bits_per_weight

        rules = options.weight_rules(format, codebook_size, vector_dim, rule, seed)
        require_folder(output)
        graph = options.read(model, checkpoint, option, input_shape, seed).graph
        with progress("compress", len(layer_nodes(graph))) as step:
            layers = compress_with(graph, rules, on_layer=step)
        if not layers:
            raise ValueError(f"{model} must have layers to compress, and has none")
        save(output, layers)
    summary = summarize(graph, layers)
    if json:
        rows = [asdict(row) | {"bits_per_weight": row.bits_per_weight} for row in summary]
        total = total_bits_per_weight(summary)
        print_json({"model": model, "file": str(output), "bits_per_weight": total, "layers": rows})
        return
    console().print(summary_table(summary))
    if (note := rules.note(graph)) is not None:
        typer.echo(note)
    typer.echo(f"{output}: {output.stat().st_size:,} bytes")


def require_folder(file: Path) -> None:
    """Raises ValueError where a file's folder is not there, before minutes of work are lost."""
    if not file.parent.is_dir():
        raise ValueError(f"the folder of {file} must exist")
