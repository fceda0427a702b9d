"""Building the C driver, and running its command against a bus."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssvq.driver import Bus
from ssvq.program import Program
from ssvq.program_file import program_to_bytes
from ssvq_gen.config import CoreConfig
from ssvq_gen.header import header_text
from ssvq_sim.bus_server import serve
from ssvq_sim.cache import cached_folder, content_key

SOURCES = Path(__file__).resolve().parents[2] / "sw" / "c"
SANITIZE = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
_WALL_SECONDS = 120.0


def build(config: CoreConfig, *, target: str = "all", flags: str = "-O1") -> Path:
    """The folder of what is built with the header of a core, once for the same sources; a warning is an error."""
    header = header_text(config)
    files = [SOURCES / "Makefile", *SOURCES.glob("*/*.[ch]")]
    compiler = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=True).stdout
    what = {"header": header, "target": target, "flags": flags, "compiler": compiler}
    key = content_key({**{str(file.relative_to(SOURCES)): file.read_bytes() for file in files}, **what})

    def make(folder: Path) -> None:
        (folder / "ssvq_core.h").write_text(header, encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
        command = ["make", "-s", "-C", str(SOURCES), f"CORE={folder}", f"BUILD={folder}", f"CFLAGS={flags}", target]
        made = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert made.returncode == 0, made.stderr
        assert not made.stderr

    return cached_folder("c-driver", key, make)[0]


def checked_command(config: CoreConfig) -> Path:
    """The command, made to end at the first wrong access where the compiler has the libraries for that."""
    probe = ["cc", *SANITIZE.split(), "-x", "c", "-", "-o", os.devnull]
    able = subprocess.run(probe, input=b"int main(void) { return 0; }\n", capture_output=True).returncode == 0
    return build(config, flags=SANITIZE if able else "-O1") / "ssvq_run"


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a run of the command gave.

    outputs : int8 by job
    lines : of standard output
    error : standard error, without the name of the command
    """

    code: int
    outputs: Mapping[str, npt.NDArray[np.int8]]
    lines: tuple[str, ...]
    error: str

    @property
    def result(self) -> str:
        """The name of the driver's result; the text that follows it is `message`."""
        return self.error.split(": ")[1]

    @property
    def message(self) -> str:
        return self.error.split(": ", 2)[2].splitlines()[0]

    def numbers(self) -> dict[str, int]:
        """Lines of a name and a number."""
        return {name: int(number) for name, number in (line.split() for line in self.lines)}


class Command:
    """The command in a folder of its own, where programs and tensors are written."""

    def __init__(self, executable: Path, folder: Path) -> None:
        self.executable = executable
        self.folder = folder

    def plain(self, *arguments: str) -> Ran:
        done = subprocess.run(
            [str(self.executable), *arguments], cwd=self.folder, capture_output=True, text=True, timeout=_WALL_SECONDS
        )
        assert "Sanitizer" not in done.stderr, done.stderr
        lines = [line.removeprefix("ssvq_run: ") for line in done.stderr.splitlines()]
        return Ran(code=done.returncode, outputs={}, lines=tuple(done.stdout.splitlines()), error="\n".join(lines))

    def run(
        self,
        program: Program | bytes,
        inputs: Mapping[str, npt.NDArray[np.int8]],
        device: Sequence[str],
        *options: str,
    ) -> Ran:
        """Run a program, all of whose outputs are read."""
        data = program if isinstance(program, bytes) else program_to_bytes(program)
        (self.folder / "job.program").write_bytes(data)
        shapes = {}
        if isinstance(program, Program):
            shapes = {j.name: (j.output.tokens, j.output.channels) for j in program.jobs if j.output}
        arguments = [*device, *options]
        for number, (name, x) in enumerate(inputs.items()):
            (self.folder / f"{number}.in").write_bytes(x.tobytes())
            arguments += ["--input", f"{name}={number}.in"]
        for number, name in enumerate(shapes):
            (self.folder / f"{number}.out").unlink(missing_ok=True)
            arguments += ["--output", f"{name}={number}.out"]
        ran = self.plain(*arguments, "job.program")
        outputs = {}
        for number, (name, shape) in enumerate(shapes.items()):
            if (file := self.folder / f"{number}.out").exists():
                outputs[name] = np.frombuffer(file.read_bytes(), dtype=np.int8).reshape(shape)
        return Ran(code=ran.code, outputs=outputs, lines=ran.lines, error=ran.error)


@contextmanager
def served(bus: Bus, folder: Path) -> Iterator[tuple[str, ...]]:
    """Serve one program that connects; gives its options, but for the memory's."""
    with socket.socket(socket.AF_UNIX) as listener:
        path = folder / "bus"
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(_WALL_SECONDS)

        def answer() -> None:
            try:
                connection, _ = listener.accept()
            except OSError:  # nobody came
                return
            with connection, suppress(ConnectionAbortedError):  # a bus that goes away
                serve(bus, connection)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield ("--socket", "bus")
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
