"""`ssvq compile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ssvq.cli import options
from ssvq.cli.compress import require_folder
from ssvq.cli.display import console, print_json, progress
from ssvq.cli.errors import bad_input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ssvq.network.calibration import Clip, ValueRange
    from ssvq.network.files.model_source import ReadModel
    from ssvq.network.files.network_file import CompiledModel
    from ssvq.network.files.samples import Sample
    from ssvq.network.files.weight_rules import WeightRules
    from ssvq.network.graph import Graph
    from ssvq.quantize.layer import CompressedLayer
    from ssvq_gen.config import CoreConfig

HELP = """Compile a model for a core: one file with everything that `ssvq run` needs, and no code.

\b
    ssvq compile deit_tiny --config base -o deit.ssvqnet
    ssvq compile fashion_vit --layers vit.ssvq --samples images.npy --config edge -o vit.ssvqnet
    ssvq compile fashion_vit --layers run/model.ssvq --checkpoint run/model.safetensors -o vit.ssvqnet
    ssvq compile model.onnx --format int8 --samples photos/ -o model.ssvqnet --strict
    ssvq compile file:model.py:build --input-shape 1,16 --config tiny -o model.ssvqnet --explain

What the core can do runs on it; all else runs on the host in float32, and a table says which operators, why, and how
many bytes cross. With --strict an operator on the host is an error.

The scales of activations come from --samples: a .npy file, a .safetensors file with an array for each input, an image
or a folder of images. Without, they come from seeded noise, which says nothing of a trained model's accuracy. The first
sample and the float model's outputs for it go into the file, so that `ssvq run` can compare.

--explain shows what every step reads and writes, at which words of the activation memory, what moves on the bus for it,
and how full the memory is; and writes net.memory.svg, a picture of the memory over time.

Weights are those of --layers, a container from `ssvq compress` or `ssvq train`, or are compressed now. A trained
container has ranges of activations, too: those of what its layers read and write are taken in place of the samples'.
What else was trained, such as norms and positions, comes with --checkpoint, model.safetensors beside the container.

Cycles are the least that arithmetic and bytes allow, without vector operations; `ssvq run --backend sim` counts the
real ones.
"""


def compile(
    model: options.Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, such as net.ssvqnet.")],
    config: Annotated[str, typer.Option(help="Core: a preset (tiny, edge, base, large) or a TOML file.")] = "base",
    layers: Annotated[Path | None, typer.Option(help="Container of compressed layers.")] = None,
    format: options.Format = None,
    codebook_size: options.CodebookSize = None,
    vector_dim: options.VectorDim = None,
    rule: options.Rules = None,
    samples: Annotated[Path | None, typer.Option(help="Inputs that decide the ranges of activations.")] = None,
    noise_count: Annotated[int, typer.Option(min=1, help="Samples of noise, without --samples.")] = 2,
    clip: Annotated[
        str, typer.Option(help="Ranges of activations: percentile, or mse, of the least mean square error.")
    ] = "percentile",
    percentile: Annotated[float, typer.Option(help="Percent of a sample's values that its range holds.")] = 100.0,
    strict: Annotated[bool, typer.Option("--strict", help="An operator on the host is an error.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show layers, steps and memory, too, and draw the memory.")
    ] = False,
    bytes_per_cycle: Annotated[int, typer.Option(help="Of the bus, for the cycles: a power of two, 0 is a beat.")] = 0,
    checkpoint: options.Checkpoint = None,
    option: options.ModelOptions = None,
    input_shape: options.InputShapes = None,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Compile a model; the text above is the user's."""
    with bad_input():
        from ssvq.network.calibration import calibrate
        from ssvq.network.files.host_functions import require_storable
        from ssvq.network.files.network_file import save_network
        from ssvq.network.files.samples import noise, read_samples
        from ssvq.network.hosting.backend import bus_rate
        from ssvq.network.hosting.partition import batch_hint
        from ssvq.network.integer.stored_ranges import with_stored_ranges
        from ssvq_gen.config import CoreConfig

        require_folder(output)
        core = CoreConfig.load(config)
        rate = bus_rate(core, bytes_per_cycle)
        if layers is not None and (format or codebook_size or vector_dim or rule):
            raise ValueError(
                "--layers has the weights: --format, --codebook-size, --vector-dim, --rule do not go with it"
            )
        rules = options.weight_rules(format, codebook_size, vector_dim, rule, seed)
        read = options.read(model, checkpoint, option, input_shape, seed)
        graph = read.graph
        require_storable(graph)
        if samples is None:
            given = noise(graph, noise_count, seed)
        else:
            given = read_samples(samples, graph.inputs, read.preparation)
        with progress("calibrate", len(given)) as step:
            ranges = calibrate(graph, _each(given, step), clip=cast("Clip", clip), percentile=percentile)
        compressed = _stored(graph, core, layers) if layers else _compressed(graph, core, rules)
        ranges = with_stored_ranges(graph, ranges, compressed)
        trained = sum(layer.input_scale is not None for layer in compressed.values())
        made = _assemble(read, core, ranges, compressed, given[0], strict=strict)
        save_network(made, output)
        pictures = save_pictures(made, output) if explain else []
        hint = batch_hint(graph, {own.name: own.host_reason or "" for own in made.work.on_host})
    if json:
        from dataclasses import asdict

        from ssvq.network.report.compile_summary import model_summary
        from ssvq.network.report.explain import explain as explained

        about: dict[str, object] = {"file": str(output), "file_bytes": output.stat().st_size, "hint": hint}
        about["trained_layers"] = trained
        if explain:
            steps = {part.name: explained(part.compiled, core) for part in made.network.core_parts}
            about |= {"steps": {name: [asdict(row) for row in rows] for name, rows in steps.items()}}
            about |= {"pictures": [str(picture) for picture in pictures]}
        print_json(model_summary(made, rate) | about)
        return
    show(made, rate, explain=explain)
    if hint is not None:
        typer.echo(hint)
    if layers is None and (note := rules.note(graph)) is not None:
        typer.echo(note)
    if trained:
        rest = "" if checkpoint else "; --checkpoint would give the model what else was trained"
        typer.echo(f"ranges of what {trained} layers read and write are those of their training{rest}")
    for picture in pictures:
        typer.echo(f"{picture}: the activation memory over time")
    typer.echo(f"{output}: {output.stat().st_size:,} bytes")


def show(model: CompiledModel, bytes_per_cycle: float, *, explain: bool) -> None:
    """Tables of a compiled model."""
    from ssvq.network.report.compile_summary import parts_table
    from ssvq.network.report.explain import explain_table
    from ssvq.network.report.layer_summary import summary_table

    out = console()
    if explain:
        out.print(summary_table(model.layers))
        for part in model.network.core_parts:
            out.print(explain_table(part.compiled, model.config, title=part.name))
    out.print(parts_table(model, bytes_per_cycle))
    if model.work.on_host:
        out.print(model.work.host_table())
    else:
        out.print("nothing on the host")


def save_pictures(model: CompiledModel, output: Path) -> list[Path]:
    """A picture of the activation memory of each part on the core, beside the file: NAME.memory.svg, or with the part's
    number where there are several. Raises OSError."""
    from ssvq.files import write_atomically
    from ssvq.network.report.memory_picture import memory_svg

    parts, pictures = model.network.core_parts, []
    for number, part in enumerate(parts):
        middle = ".memory" if len(parts) == 1 else f".memory-{number}"
        pictures.append(output.with_name(f"{output.stem}{middle}.svg"))
        write_atomically(pictures[-1], memory_svg(part.compiled, model.config.word_bytes).encode())
    return pictures


def _each(samples: list[Sample], step: Callable[[str], None]) -> Iterator[Sample]:
    for number, sample in enumerate(samples):
        step(f"sample {number}")
        yield sample


def _stored(graph: Graph, config: CoreConfig, container: Path) -> dict[str, CompressedLayer]:
    from ssvq.container import load
    from ssvq.network.files.weight_rules import stored_layers
    from ssvq.network.hosting.assembly import core_candidates

    return stored_layers(core_candidates(graph, config), load(container))


def _compressed(graph: Graph, config: CoreConfig, rules: WeightRules) -> dict[str, CompressedLayer]:
    from ssvq.network.files.weight_rules import compress_with, layer_nodes
    from ssvq.network.hosting.assembly import core_candidates

    candidates = core_candidates(graph, config)
    with progress("compress", len(layer_nodes(candidates))) as step:
        return compress_with(candidates, rules, on_layer=step)


def _assemble(
    read: ReadModel,
    config: CoreConfig,
    ranges: Mapping[str, ValueRange],
    layers: Mapping[str, CompressedLayer],
    sample: Sample,
    *,
    strict: bool,
) -> CompiledModel:
    from ssvq.network.files.network_file import CompiledModel
    from ssvq.network.float_executor import execute
    from ssvq.network.hosting.assembly import assemble
    from ssvq.network.report.layer_summary import summarize
    from ssvq.network.work_report import work_report

    graph = read.graph
    with progress("compile", None) as step:
        made = assemble(graph, ranges, layers, config, strict=strict, on_part=step)
    on_core = {node.name for node in made.partition.core_nodes}
    return CompiledModel(
        name=read.name,
        config=config,
        network=made.network,
        layers=summarize(graph, {name: layer for name, layer in layers.items() if name in on_core}),
        work=work_report(graph, reason=made.partition.reason),
        preparation=read.preparation,
        sample=dict(zip(graph.inputs, sample, strict=True)),
        expected=dict(zip(graph.outputs, execute(graph, *sample), strict=True)),
    )
