"""What runs the programs of a network, and what a run leaves."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from ssvq.driver import Profile
from ssvq.network.hosting.partitioned_network import CorePart, run_golden
from ssvq.network.integer.integer_network import IntegerNetwork
from ssvq.network.integer.strided import inverse_order
from ssvq.network.program.emission import INPUT, OUTPUT
from ssvq.network.report.profiled import on_core
from ssvq.program import Program
from ssvq.reference import Int8Array
from ssvq_gen.config import CoreConfig

REFERENCE, SIMULATION, DEVICE = "reference", "sim", "device"
BACKENDS = (REFERENCE, SIMULATION, DEVICE)
"""The golden model, the Verilog, and a core that the driver reaches."""
SIMULATOR = "ssvq_sim.network_backend"
"""Module whose `run_program` takes `bus`, too, and is a `RunProgram` then. This package cannot import it, and works
without it."""


class BackendError(RuntimeError):
    """A backend is not there, or a program did not run to its end; the text says which and why."""


@dataclass(frozen=True, kw_only=True)
class BusSettings:
    """The memory that a core runs on.

    Attributes:
        bytes_per_cycle: of reads and writes together; 0 is a beat in every cycle.
        latency: cycles from an address to its answer.
    """

    bytes_per_cycle: int = 0
    latency: int = 0


def bus_rate(config: CoreConfig, bytes_per_cycle: int) -> int:
    """Bytes a cycle of a core's bus, of which 0 are a beat. Raises ValueError for what the bus cannot have."""
    beat = config.beat_bytes
    if bytes_per_cycle == 0:
        return beat
    if not 0 < bytes_per_cycle <= beat or bytes_per_cycle & (bytes_per_cycle - 1):
        bus = f"for {config.name}, whose bus has {config.axi_data_width} bits"
        raise ValueError(f"bytes_per_cycle must be a power of two from 1 to {beat} {bus}, or 0, not {bytes_per_cycle}")
    return bytes_per_cycle


@dataclass(frozen=True, kw_only=True, eq=False)
class ProgramRun:
    """What a run of a program left.

    Attributes:
        outputs: int8 (tokens, channels) by job.
        counters: the core's, by name; `TOTAL_CYCLES` is one.
        profile: where one was asked for.
    """

    outputs: Mapping[str, Int8Array]
    counters: Mapping[str, int]
    profile: Profile | None


class RunProgram(Protocol):
    """Runs a program on a core."""

    def __call__(
        self,
        config: CoreConfig,
        program: Program,
        inputs: Mapping[str, Int8Array],
        *,
        profile: bool,
    ) -> ProgramRun:
        """What it left, for int8 (tokens, channels) by job; raises BackendError or ValueError."""
        ...


def simulation(bus: BusSettings) -> RunProgram:
    """The backend `sim`. Raises BackendError where it is not installed."""
    try:
        module = importlib.import_module(SIMULATOR)
    except ModuleNotFoundError as error:
        rule = "run: pip install 'ssvq-core[rtl,sim]', or take --backend reference"
        raise BackendError(f"backend {SIMULATION} needs {error.name}; {rule}") from error
    return partial(module.run_program, bus=bus)


def output_values(network: IntegerNetwork, name: str, stored: Int8Array) -> Int8Array:
    """An output in its shape in the graph, from the (T, C) that its job stored."""
    order = network.output_order(name)
    shape = tuple(network.outputs[name].shape[axis] for axis in order)
    return stored.reshape(shape).transpose(inverse_order(order))


class ProgramBackend:
    """Runs core parts by their programs, compares them with the golden model, and keeps what the runs left.

    Usable as a `RunCore`, once for a network. With `recording`, a core that differs in `profile_depth` alone, programs
    for `config` run on that.

    Attributes:
        runs: by the part's name.
        exact: whether a part left what the golden model says, by the part's name.
    """

    def __init__(
        self,
        run: RunProgram,
        config: CoreConfig,
        *,
        profile: bool = False,
        recording: CoreConfig | None = None,
    ) -> None:
        self._run, self._config, self._profile = run, config, profile
        self._core = recording or config
        self.runs: dict[str, ProgramRun] = {}
        self.exact: dict[str, bool] = {}

    def __call__(self, part: CorePart, given: Mapping[str, Int8Array]) -> dict[str, Int8Array]:
        """The outputs of the program."""
        network = part.compiled.network
        inputs = {f"{INPUT}{own.name}": given[own.tensor] for own in network.inputs}
        program = on_core(part.compiled.program, self._config, self._core)
        result = self._run(self._core, program, inputs, profile=self._profile)
        found = {name: output_values(network, name, result.outputs[f"{OUTPUT}{name}"]) for name in network.outputs}
        golden = run_golden(part, given)
        self.runs[part.name] = result
        self.exact[part.name] = all(np.array_equal(found[name], golden[name]) for name in network.outputs)
        return found
