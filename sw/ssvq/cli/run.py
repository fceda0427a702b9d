"""`ssvq run`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssvq.cli import options
from ssvq.cli.compress import require_folder
from ssvq.cli.display import command_line, console, print_json, progress
from ssvq.cli.errors import BAD_INPUT, FAILED, bad_input, ending_with

if TYPE_CHECKING:
    from ssvq.network.files.network_file import CompiledModel
    from ssvq.network.hosting.backend import BusSettings, ProgramBackend, RunProgram
    from ssvq.network.hosting.partitioned_network import RunCore

HELP = """Run a compiled network on an input.

\b
    ssvq run net.ssvqnet
    ssvq run net.ssvqnet --input photo.jpg --output logits.npy
    ssvq run net.ssvqnet --backend sim --bytes-per-cycle 1 --latency 100
    ssvq run net.ssvqnet --backend sim --record run.json --record-all
    ssvq run net.ssvqnet --backend device --bus uio:/dev/uio0:/dev/udmabuf0
    ssvq run net.ssvqnet --backend device --bus file:board.py:open_bus
    ssvq run net.ssvqnet --dump tensors/

The reference is the integer golden model of what the core computes. The simulation runs the generated Verilog, and
counts its cycles. A device is a core that the driver reaches over --bus: by Linux's UIO and a u-dma-buf, or by what a
function of a Python file returns, a `ssvq.driver.Bus`. Both are compared with the golden model; where one integer
differs the exit code is 1. Operators of the host run in float32 with any.

Without --input it is the sample that was stored when the network was compiled, for which the file has the float model's
outputs: the cosine to them is printed. --dump writes every tensor of the integer network, int8 activations by channels,
in the order in which the steps write them, and index.json, which has their scales.

--record writes what `ssvq report` makes its page of: cycles, where they went, accuracy. A core records as many
descriptors as its profile_depth says; with --record-all the simulated one records all, up to 4096. That core has to be
built, and takes up to 5 cycles more for each layer that it records besides.
"""


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Compiled network, such as net.ssvqnet.")],
    backend: Annotated[
        str, typer.Option(help="reference; sim: the generated Verilog; or device: a core on --bus.")
    ] = "reference",
    input: Annotated[Path | None, typer.Option(help=".npy, .safetensors by input's name, or an image.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write the outputs: .npy, or .safetensors by name.")] = None,
    dump: Annotated[Path | None, typer.Option(help="Folder for all tensors of the integer network.")] = None,
    bus: Annotated[
        str | None, typer.Option(metavar="uio:REGISTERS:WINDOW|file:PATH.py:FUNCTION", help="Leads to the device.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds for each program on a device.")] = 60.0,
    bytes_per_cycle: Annotated[
        int,
        typer.Option(help="Of the simulated bus, or of a device's in its record: a power of two, 0 is a beat."),
    ] = 0,
    latency: Annotated[int, typer.Option(min=0, help="Cycles from an address to its data, likewise.")] = 100,
    profile: Annotated[Path | None, typer.Option(help="Write where the cycles went, for ui.perfetto.dev.")] = None,
    record: Annotated[Path | None, typer.Option(help="Write what `ssvq report` reads, such as run.json.")] = None,
    record_all: Annotated[bool, typer.Option("--record-all", help="Record the cycles of every descriptor.")] = False,
    json: options.Json = False,
) -> None:
    """Run a network; the text above is the user's."""
    with bad_input():
        from ssvq.network.files.network_file import load_network
        from ssvq.network.files.run_files import DumpingCore, require_output, save_outputs, save_profiles
        from ssvq.network.files.samples import read_samples
        from ssvq.network.hosting.backend import (
            BACKENDS,
            DEVICE,
            REFERENCE,
            SIMULATION,
            BackendError,
            BusSettings,
            ProgramBackend,
            bus_rate,
        )
        from ssvq.network.hosting.partitioned_network import run_golden
        from ssvq.network.report.profiled import profiling_core
        from ssvq.network.report.recording import accuracy, record_of

        if backend not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, not {backend!r}")
        if profile is not None and backend == REFERENCE:
            raise ValueError("--profile needs --backend sim or device: the reference has no cycles")
        if record_all and (record is None or backend != SIMULATION):
            raise ValueError("--record-all needs --backend sim and --record")
        if (bus is not None) != (backend == DEVICE):
            raise ValueError("--backend device needs --bus, and no other does")
        if not timeout > 0:
            raise ValueError(f"--timeout must be above 0, not {timeout:g}")
        model = load_network(file)
        bus_rate(model.config, bytes_per_cycle)
        for path in (output, profile, record):
            if path is not None:
                require_folder(path)
        if output is not None:
            require_output(output, model.network.outputs)
        given = tuple(model.sample.values())
        if input is not None:
            samples = read_samples(input, model.network.inputs, model.preparation)
            if len(samples) != 1:
                raise ValueError(f"{input} must have one sample, not {len(samples)}")
            (given,) = samples
        core: RunCore = run_golden
        programs: ProgramBackend | None = None
        settings, config = BusSettings(bytes_per_cycle=bytes_per_cycle, latency=latency), model.config
        if record_all:
            config = profiling_core(config, [part.compiled.program for part in model.network.core_parts])
        with _runner(bus, settings, timeout=timeout) if backend != REFERENCE else nullcontext() as runner:
            if runner is not None:
                has_profile = profile is not None or (record is not None and config.profile_depth > 0)
                core = programs = ProgramBackend(runner, model.config, profile=has_profile, recording=config)
            if backend == SIMULATION and not json:
                typer.echo("the first run on a core builds its simulator, which takes minutes and is kept", err=True)
            if dump is not None:
                core = DumpingCore(core, dump)
            with progress(f"run on {backend}", None), ending_with(FAILED, BackendError):
                values = {name: value.numpy() for name, value in model.network.run(given, core).items()}
        if output is not None:
            save_outputs(values, output)
        if profile is not None and programs is not None:
            save_profiles(programs.runs, profile)
        about = _summary(model, backend, values, programs, stored=input is None)
        if record is not None:
            expected = model.expected if input is None else {}
            metrics = accuracy(values, {name: value.numpy() for name, value in expected.items()})
            record_of(model, programs, config, settings, backend=backend, metrics=metrics, command=command_line()).save(
                record
            )
    if json:
        print_json(about)
    else:
        _show(about)
    if about["bit_exact"] is False:
        raise typer.Exit(FAILED)


@contextmanager
def _runner(bus: str | None, settings: BusSettings, *, timeout: float) -> Iterator[RunProgram]:
    """What runs programs: a device where there is a bus, the simulation where there is none. A device's bus is open
    within."""
    from ssvq.driver import DriverError
    from ssvq.network.hosting.backend import simulation
    from ssvq.network.hosting.device_backend import DeviceRunner, open_bus

    if bus is None:
        yield simulation(settings)
        return
    with ending_with(BAD_INPUT, DriverError), open_bus(bus) as opened:
        yield DeviceRunner(bus=opened, timeout_s=timeout)


def _summary(
    model: CompiledModel, backend: str, values: dict[str, Any], programs: ProgramBackend | None, *, stored: bool
) -> dict[str, Any]:
    """What came of a run, as plain data."""
    from ssvq.network.report.accuracy_line import cosine, top

    outputs = []
    for name, found in values.items():
        expected = model.expected.get(name) if stored else None
        outputs.append(
            {
                "name": name,
                "shape": list(found.shape),
                "top": top(found),
                "cosine_to_float": None if expected is None else cosine(found, expected.numpy()),
            }
        )
    runs = programs.runs if programs else {}
    parts = [
        {"name": name, "bit_exact": programs is not None and programs.exact[name], "counters": dict(own.counters)}
        for name, own in runs.items()
    ]
    return {
        "model": model.name,
        "config": model.config.name,
        "backend": backend,
        "host_operators": [node.name for node in model.work.on_host],
        "outputs": outputs,
        "cycles": sum(own.counters["TOTAL_CYCLES"] for own in runs.values()) if programs else None,
        "bit_exact": all(programs.exact.values()) if programs else None,
        "parts": parts,
    }


def _show(about: dict[str, Any]) -> None:
    out = console()
    out.print(f"{about['model']} on {about['config']}, {about['backend']}")
    for own in about["outputs"]:
        near = own["cosine_to_float"]
        shape = " x ".join(map(str, own["shape"])) or "a number"
        out.print(f"{own['name']}: {shape}" + ("" if near is None else f", cosine to float {near:.6f}"))
        if own["top"]:
            out.print("  top: " + ", ".join(f"{place} ({value:.4g})" for place, value in own["top"]))
    if about["host_operators"]:
        out.print(f"on the host: {', '.join(about['host_operators'])}")
    if about["cycles"] is not None:
        out.print(f"{about['cycles']:,} cycles")
        out.print(f"outputs are {'equal' if about['bit_exact'] else 'NOT EQUAL'} to the golden model's, bit for bit")
