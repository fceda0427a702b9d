"""`ssvq inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ssvq.cli import options
from ssvq.cli.display import console, print_json
from ssvq.cli.errors import BAD_INPUT, bad_input, fail

HELP = """Show what is in a file: a container of compressed layers, a program, or a compiled network.

\b
    ssvq inspect model.ssvq             # layers: format, shape, bits, bytes
    ssvq inspect net.ssvqnet            # layers, parts, memory plan, what is on the host
    ssvq inspect program.bin            # jobs and descriptors of a program file
    ssvq inspect net.ssvqnet --json

What a file is decides its content, not its name. Files are checked as whatever uses them would check them.
"""


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Any file that this command or the compiler writes.")],
    json: options.Json = False,
) -> None:
    """Inspect a file; the text above is the user's."""
    with bad_input():
        kind = _kind(file)
        data, tables = {"container": _container, "program": _program, "network": _network}[kind](file)
    if json:
        print_json({"kind": kind, "file": str(file)} | data)
        return
    out = console()
    for table in tables:
        out.print(table)


def info(file: Annotated[Path, typer.Argument(help="Container of compressed layers, such as model.ssvq.")]) -> None:
    """The same as `ssvq inspect` of a container, by its first name."""
    with bad_input():
        if (kind := _kind(file)) != "container":
            fail(f"{file} must be a container, not a {kind}: see ssvq inspect", BAD_INPUT)
        _, tables = _container(file)
    for table in tables:
        console().print(table)


def _kind(file: Path) -> str:
    """What a file is, from its first bytes. Raises ValueError for others, and OSError."""
    from ssvq.network.files.network_file import METADATA_KEY, metadata_of
    from ssvq.program_file import MAGIC

    if file.exists() and not file.is_file():  # opening a pipe could wait for ever
        raise ValueError(f"{file} must be a file")
    content = file.read_bytes()
    if content.startswith(MAGIC):
        return "program"
    try:
        metadata = metadata_of(content)
    except ValueError as error:
        raise ValueError(f"{file} is no container, program or compiled network: {error}") from error
    for key, kind in ((METADATA_KEY, "network"), ("ssvq", "container")):
        if key in metadata:
            return kind
    raise ValueError(f"{file} is no container or compiled network: its metadata are {', '.join(metadata) or 'empty'}")


def _container(file: Path) -> tuple[dict[str, Any], list[Any]]:
    from ssvq.container import load
    from ssvq.layer_table import layer_table

    layers = load(file).values()
    rows = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "format": layer.format.value,
            "shape": list(layer.weight_shape),
            "codebook_size": layer.codebook_size,
            "vector_dim": layer.vector_dim,
            "weights": layer.weight_count,
            "storage_bits": layer.storage_bits,
            "bits_per_weight": layer.bits_per_weight,
        }
        for layer in layers
    ]
    return {"layers": rows}, [layer_table(layers)]


def _program(file: Path) -> tuple[dict[str, Any], list[Any]]:
    from ssvq.network.report.program_table import program_summary, program_table
    from ssvq.program_file import load_program

    program = load_program(file)
    return program_summary(program), [program_table(program)]


def _network(file: Path) -> tuple[dict[str, Any], list[Any]]:
    from ssvq.network.files.network_file import load_network
    from ssvq.network.report.compile_summary import model_summary, parts_table, plan_table
    from ssvq.network.report.layer_summary import summary_table
    from ssvq.network.report.program_table import program_summary, program_table

    model = load_network(file)
    rate = model.config.beat_bytes
    tables: list[Any] = [summary_table(model.layers)]
    for part in model.network.core_parts:
        tables += [program_table(part.compiled.program, part.name), plan_table(part, model.config.word_bytes)]
    tables += [parts_table(model, rate), model.work.host_table() if model.work.on_host else "nothing on the host"]
    data = model_summary(model, rate) | {
        "inputs": {name: str(wanted) for name, wanted in model.network.inputs.items()},
        "outputs": list(model.network.outputs),
        "programs": {part.name: program_summary(part.compiled.program) for part in model.network.core_parts},
    }
    return data, tables
