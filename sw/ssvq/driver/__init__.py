"""The driver: a `Device` speaks register names over a `Bus`, which a simulation or a real machine implements."""

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
    "RecoveryFailed",
    "RunResult",
    "WeightLengthError",
    "WrongDevice",
    "WrongVersion",
]
