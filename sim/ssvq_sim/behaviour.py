"""How the bench's memory behaves, and the jobs that a simulation runs: plain data, handed over as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ssvq.driver import Profile
from ssvq.driver.device import WATCHDOG_CYCLES_DEFAULT
from ssvq.program import Program

CHANNELS = ("ar", "r", "aw", "w", "b")
"""Names of the memory's AXI channels, in the order of their bits in `bus_hang`."""
FAULTS_MAX = 4
MEMORY_BASE_DEFAULT = 0x4000_0000
CLOCK_NS = 10
_STALL_STEPS = 256


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Bytes `first` to `last` of the DRAM window that are answered with an error.

    response : 2 is SLVERR, 3 is DECERR
    """

    first: int
    last: int
    response: int
    reads: bool = False
    writes: bool = False

    def __post_init__(self) -> None:
        if self.response not in (2, 3):
            raise ValueError(f"response must be 2 (SLVERR) or 3 (DECERR), not {self.response}")
        if not 0 <= self.first <= self.last:
            raise ValueError(f"a fault must be an ascending range of offsets, not {self.first} to {self.last}")


@dataclass(frozen=True, kw_only=True)
class Hang:
    """Channels that stop `after` cycles from the beginning of the job, for `cycles` cycles."""

    channels: tuple[str, ...]
    after: int = 0
    cycles: int

    def __post_init__(self) -> None:
        unknown = set(self.channels) - set(CHANNELS)
        if unknown or not self.channels:
            raise ValueError(f"channels must be some of {', '.join(CHANNELS)}, not {self.channels}")


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """The memory during one job.

    latency : cycles from an address to its answer, beyond the fewest possible
    bytes_per_cycle : of reads and writes together; 0 is a beat in every cycle
    stalls : probability that a channel pauses in a cycle, by its name in `CHANNELS`
    """

    latency: int = 0
    bytes_per_cycle: int = 0
    stalls: Mapping[str, float] | None = None
    seed: int = 1
    faults: tuple[Fault, ...] = ()
    hang: Hang | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.latency < 1 << 16:
            raise ValueError(f"latency must be from 0 to 65535 cycles, not {self.latency}")
        rate = self.bytes_per_cycle
        if rate and (rate & (rate - 1) or not 1 <= rate <= 64):
            raise ValueError(f"bytes_per_cycle must be 0 or a power of two up to 64, not {rate}")
        for channel, probability in (self.stalls or {}).items():
            if channel not in CHANNELS or not 0 <= probability < 1:
                raise ValueError(f"stalls must be probabilities below 1 of {', '.join(CHANNELS)}, not {self.stalls}")
        if len(self.faults) > FAULTS_MAX:
            raise ValueError(f"there are at most {FAULTS_MAX} faults, not {len(self.faults)}")

    def rate(self, beat_bytes: int) -> int:
        """Bytes per cycle on a bus; raises ValueError when it is more than a beat."""
        if self.bytes_per_cycle > beat_bytes:
            raise ValueError(f"bytes_per_cycle must be at most a beat ({beat_bytes}), not {self.bytes_per_cycle}")
        return self.bytes_per_cycle or beat_bytes

    def ports(self, beat_bytes: int, memory_base: int) -> dict[str, int]:
        """Values of the bench's `bus_*` ports, by name."""
        values = {
            "bus_base": memory_base,
            "bus_latency": self.latency,
            "bus_bytes_per_cycle": self.rate(beat_bytes),
            "bus_seed": self.seed & 0xFFFF_FFFF,
            "bus_hang": 0,
        }
        for channel in CHANNELS:
            values[f"bus_stall_{channel}"] = int((self.stalls or {}).get(channel, 0.0) * _STALL_STEPS)
        packed = dict.fromkeys(("first", "last", "response", "reads", "writes"), 0)
        for i, fault in enumerate(self.faults):
            packed["first"] |= (memory_base + fault.first) << 64 * i
            packed["last"] |= (memory_base + fault.last) << 64 * i
            packed["response"] |= fault.response << 2 * i
            packed["reads"] |= fault.reads << i
            packed["writes"] |= fault.writes << i
        return {**values, **{f"bus_fault_{name}": value for name, value in packed.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Behaviour:
        """Inverse of `dataclasses.asdict`, also from JSON."""
        hang = data["hang"]
        return cls(
            latency=data["latency"],
            bytes_per_cycle=data["bytes_per_cycle"],
            stalls=data["stalls"],
            seed=data["seed"],
            faults=tuple(Fault(**fault) for fault in data["faults"]),
            hang=Hang(**{**hang, "channels": tuple(hang["channels"])}) if hang else None,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulationJob:
    """One program to run, and what happens meanwhile.

    inputs : int8 (tokens, channels) by job name of the program
    timeout_cycles : after which the driver gives up
    profile : read the profile, too
    abort_after : cycles after which someone else writes ABORT
    device_digest : the configuration the driver believes in, if not the core's
    """

    name: str
    program: Program
    inputs: Mapping[str, npt.NDArray[np.int8]]
    behaviour: Behaviour = Behaviour()
    memory_base: int = MEMORY_BASE_DEFAULT
    timeout_cycles: int = 20_000_000
    watchdog_cycles: int = WATCHDOG_CYCLES_DEFAULT
    profile: bool = False
    abort_after: int | None = None
    driver_config: Mapping[str, Any] | None = None

    def settings(self) -> dict[str, Any]:
        """Everything but the arrays, as JSON takes it."""
        return {
            "name": self.name,
            "behaviour": asdict(self.behaviour),
            "memory_base": self.memory_base,
            "timeout_cycles": self.timeout_cycles,
            "watchdog_cycles": self.watchdog_cycles,
            "profile": self.profile,
            "abort_after": self.abort_after,
            "driver_config": None if self.driver_config is None else dict(self.driver_config),
        }


@dataclass(frozen=True, kw_only=True)
class JobError:
    """What the driver raised: its type by name, its message, and the fields of a `JobFailed`."""

    type: str
    message: str
    code: int | None = None
    descriptor: int | None = None
    address: int | None = None
    layer: str | None = None


@dataclass(frozen=True, kw_only=True)
class BusTimes:
    """When things happened on the memory bus, in cycles from the beginning of a job; 0 is never.

    first_error : the first answer that is an error
    last_request : the last burst was offered
    interrupt : it rose
    """

    first_error: int
    last_request: int
    interrupt: int


@dataclass(frozen=True, kw_only=True, eq=False)
class JobResult:
    """What came of a job.

    outputs : int8 (tokens, channels) by job name; empty after an error
    counters : the core's counters; empty after an error
    cycles : simulated cycles, the driver's included
    wall_seconds : what the simulation of the job took
    read_beats, write_beats : what passed on the bus as the memory saw it, since reset
    stray : offset of the first byte outside the outputs that was written, if any
    profile : if the job asked for it
    times : of the fast bench
    """

    name: str
    outputs: Mapping[str, npt.NDArray[np.int8]]
    counters: Mapping[str, int]
    cycles: int
    wall_seconds: float
    read_beats: int
    write_beats: int
    stray: int | None
    error: JobError | None
    profile: Profile | None = None
    times: BusTimes | None = None
