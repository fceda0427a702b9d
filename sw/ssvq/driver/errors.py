"""What can go wrong between the driver and the core, each as its own type."""

from __future__ import annotations

from ssvq_gen.format import ErrorCode


class DriverError(Exception):
    """Anything the driver raises about the device."""


class WrongDevice(DriverError):
    """What answers at these addresses is no SSVQ core."""


class WrongVersion(DriverError):
    """The core's register version is not one this driver speaks."""


class DigestMismatch(DriverError):
    """Core, configuration and program do not belong together."""


class DeviceBusy(DriverError):
    """A job is running that this driver did not start; `Device.recover` ends it."""


class RecoveryFailed(DriverError):
    """The core did not become idle: a bus transaction never ends. It needs a reset."""


class CounterMismatch(DriverError):
    """The classes of cycles do not add up to the total."""


class JobTimeout(DriverError):
    """A job was not complete in time. It has been aborted and the core cleared.

    seconds : the limit, in the bus's time
    descriptors_done : descriptors that were complete
    """

    def __init__(self, message: str, *, seconds: float, descriptors_done: int) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.descriptors_done = descriptors_done


class JobFailed(DriverError):
    """The core ended a job with an error. It has been cleared and takes the next job.

    code : `ErrorCode`, or the bare number of a code that this driver does not know
    descriptor : index of the descriptor that failed
    address : bus address or activation memory word, whichever the code is about
    layer : name of the layer the descriptor belongs to, if known
    """

    def __init__(
        self, message: str, *, code: ErrorCode | int, descriptor: int, address: int, layer: str | None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.descriptor = descriptor
        self.address = address
        self.layer = layer


class AxiReadError(JobFailed):
    """The memory answered a read with an error."""


class AxiWriteError(JobFailed):
    """The memory answered a write with an error."""


class InvalidJob(JobFailed):
    """A descriptor is malformed."""


class MemoryRangeError(JobFailed):
    """A descriptor reaches outside the DRAM window or the activation memory."""


class WeightLengthError(JobFailed):
    """A weight stream does not have the length that its layer needs."""


class JobStalled(JobFailed):
    """The core's watchdog ended the job."""


class JobAborted(JobFailed):
    """Someone else wrote ABORT."""


JOB_ERRORS: dict[ErrorCode, type[JobFailed]] = {
    ErrorCode.READ_SLAVE: AxiReadError,
    ErrorCode.READ_DECODE: AxiReadError,
    ErrorCode.WRITE_SLAVE: AxiWriteError,
    ErrorCode.WRITE_DECODE: AxiWriteError,
    ErrorCode.BAD_DESCRIPTOR: InvalidJob,
    ErrorCode.DRAM_RANGE: MemoryRangeError,
    ErrorCode.ACTIVATION_RANGE: MemoryRangeError,
    ErrorCode.WEIGHT_LENGTH: WeightLengthError,
    ErrorCode.WATCHDOG: JobStalled,
    ErrorCode.ABORTED: JobAborted,
}
"""The type that each error code is raised as."""
