"""`ssvq report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssvq.cli import options
from ssvq.cli.compress import require_folder
from ssvq.cli.display import command_line, print_json
from ssvq.cli.errors import bad_input

if TYPE_CHECKING:
    from ssvq.network.report.content import Content, Line, RunLine

HELP = """Make one HTML page of a compiled network and its runs.

\b
    ssvq compile deit_tiny --format int8 -o deit-int8.ssvqnet
    ssvq compile deit_tiny --format ssvq -o deit.ssvqnet
    ssvq run deit-int8.ssvqnet --backend sim --bytes-per-cycle 1 --record-all --record int8.json
    ssvq run deit.ssvqnet --backend sim --bytes-per-cycle 1 --record-all --record ssvq.json
    ssvq report deit.ssvqnet --run ssvq.json --baseline int8.json -o deit.html

The page has the model's weights and bits, every layer's bytes, multiplications and cycles against its roofline, where
every cycle went, the activation memory over time, what is on the host and why, the accuracy against the float model,
and how much faster the network is than with int8 weights on the same core. It needs no network and no script.

Runs come from `ssvq run --record`. Several, of several rates of the bus say, are compared in a table, and the layers
are those of the first that has cycles by descriptor. Without runs the page has what is known from the file alone. A
baseline is a run of the same network with int8 weights on the same core at the same rate and latency.
"""


def report(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Compiled network, such as net.ssvqnet.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Page to write.")] = Path("report.html"),
    run: Annotated[list[Path] | None, typer.Option(help="Record of a run of this file; repeatable.")] = None,
    baseline: Annotated[
        list[Path] | None, typer.Option(help="Record of the same network with int8 weights; repeatable.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Make a page; the text above is the user's."""
    with bad_input():
        from ssvq.files import write_atomically
        from ssvq.network.files.network_file import load_network
        from ssvq.network.report.page import report_content, report_page
        from ssvq.network.report.run_record import RunRecord
        from ssvq.network.report.subject import Subject

        require_folder(output)
        model = load_network(file)
        parts = {part.name: part.compiled for part in model.network.core_parts}
        subject = Subject(name=model.name, config=model.config, parts=parts, work=model.work)
        runs, baselines = ([RunRecord.load(path) for path in paths or ()] for paths in (run, baseline))
        content = report_content(subject, runs, baselines, commands=[command_line()])
        write_atomically(output, report_page(content).encode())
    if json:
        print_json({"file": str(output)} | _summary(content))
    else:
        typer.echo(f"{output}: {output.stat().st_size:,} bytes")


def _summary(content: Content) -> dict[str, Any]:
    """The page's figures as plain data."""
    main = content.main
    return {
        "network": content.subject.name,
        "config": content.config.name,
        "bytes_per_cycle": main.run.bytes_per_cycle if main else content.config.beat_bytes,
        "cycles": main.run.cycles if main else None,
        "roofline_cycles": content.whole.work.roofline_cycles,
        "over_int8": main.faster if main else None,
        "bit_exact": main.run.bit_exact if main else None,
        "metrics": dict(main.run.metrics) if main else {},
        "runs": [_run(line) for line in content.runs],
        "classes": {line.segment.name: line.segment.cycles for line in content.classes},
        "cycles_of_no_layer": content.rest,
        "descriptors_beyond_profile": content.beyond,
        "layers": [_layer(line) for line in content.layers],
    }


def _run(line: RunLine) -> dict[str, Any]:
    return {
        "backend": line.run.backend,
        "bytes_per_cycle": line.run.bytes_per_cycle,
        "latency": line.run.latency,
        "cycles": line.run.cycles,
        "roofline_cycles": line.roofline,
        "over_int8": line.faster,
        "bit_exact": line.run.bit_exact,
        "samples": line.run.samples,
        "metrics": dict(line.run.metrics),
    }


def _layer(line: Line) -> dict[str, Any]:
    work = line.work
    return {
        "name": work.layer,
        "kinds": list(work.kinds),
        "macs": work.macs,
        "weights": work.weights,
        "weight_formats": list(work.weight_formats),
        "weight_bytes": work.weight_bytes,
        "bits_per_weight": work.bits_per_weight,
        "activation_bytes": work.written_bytes,
        "roofline_cycles": work.roofline_cycles,
        "vector_cycles": work.vector_cycles,
        "cycles": line.row.cycles,
        "classes": None if line.row.classes is None else dict(line.row.classes),
    }
