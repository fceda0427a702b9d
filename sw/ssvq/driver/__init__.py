"""The driver: a `Device` speaks register names over a `Bus`, which a simulation or a machine implements."""

from .bus import Bus
from .device import Device, RunResult
from .errors import (
    JOB_ERRORS,
    AxiReadError,
    AxiWriteError,
    CounterMismatch,
    DeviceBusy,
    DigestMismatch,
    DriverError,
    InvalidJob,
    JobAborted,
    JobFailed,
    JobStalled,
    JobTimeout,
    MemoryRangeError,
    RecoveryFailed,
    WeightLengthError,
    WrongDevice,
    WrongVersion,
)
from .profile import Profile, ProfileRow
from .pynq_bus import PynqBus
from .uio_bus import UioBus

__all__ = [
    "JOB_ERRORS",
    "AxiReadError",
    "AxiWriteError",
    "Bus",
    "CounterMismatch",
    "Device",
    "DeviceBusy",
    "DigestMismatch",
    "DriverError",
    "InvalidJob",
    "JobAborted",
    "JobFailed",
    "JobStalled",
    "JobTimeout",
    "MemoryRangeError",
    "Profile",
    "ProfileRow",
    "PynqBus",
    "RecoveryFailed",
    "RunResult",
    "UioBus",
    "WeightLengthError",
    "WrongDevice",
    "WrongVersion",
]
