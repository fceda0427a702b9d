"""Programs of compiled networks on a core that the driver reaches: the backend `device` of `ssvq run`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import cast

from ssvq.driver import Bus, Device, DriverError, UioBus
from ssvq.network.hosting.backend import BackendError, ProgramRun
from ssvq.program import Program, ProgramError
from ssvq.python_file import function_of
from ssvq.reference import Int8Array
from ssvq_gen.config import CoreConfig

_BUS = "uio:REGISTERS:WINDOW or file:PATH.py:FUNCTION"


@dataclass(frozen=True, kw_only=True)
class DeviceRunner:
    """Runs programs on the core that a bus leads to: a `RunProgram`.

    Attributes:
        bus: to the core.
        timeout_s: for a program, in the bus's time.
    """

    bus: Bus
    timeout_s: float

    def __call__(
        self, config: CoreConfig, program: Program, inputs: Mapping[str, Int8Array], *, profile: bool
    ) -> ProgramRun:
        """What a program left; raises BackendError for what the driver finds wrong."""
        try:
            result = Device(self.bus, config).run(program, inputs, timeout_s=self.timeout_s, profile=profile)
        except (DriverError, ProgramError, OSError, RuntimeError) as error:  # buses have errors of their own
            raise BackendError(f"{type(error).__name__}: {error}") from error
        return ProgramRun(outputs=result.outputs, counters=result.counters, profile=result.profile)


def open_bus(spec: str) -> AbstractContextManager[Bus]:
    """The bus that a command line names, to be entered; it is closed when it is left.

    spec : `uio:/dev/uio0:/dev/udmabuf0`, the devices of the registers and of the window; or `file:PATH.py:FUNCTION`, a
        function without arguments that returns a `ssvq.driver.Bus`, or a context manager that gives one

    Raises ValueError for another text, or a function that returns no bus; DriverError and OSError of the devices.
    """
    kind, _, rest = spec.partition(":")
    if kind == "uio":
        uio, _, window = rest.partition(":")
        if not (uio and window):
            raise ValueError(f"bus must be {_BUS}, not {spec!r}")
        return UioBus(uio, window)
    if kind != "file":
        raise ValueError(f"bus must be {_BUS}, not {spec!r}")
    made = function_of(rest, what="bus")()
    if isinstance(made, AbstractContextManager):
        return cast(AbstractContextManager[Bus], made)
    if missing := sorted(name for name in vars(Bus) if not name.startswith("_") and not hasattr(made, name)):
        raise ValueError(f"{rest} must return a ssvq.driver.Bus: {type(made).__name__} has no {missing[0]}")
    return nullcontext(cast(Bus, made))
