"""`ssvq run --backend device`: the driver in front of a core that is not a simulation's."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from command_models import model, refused, run
from fake_device import FakeBus

from ssvq.driver import DriverError
from ssvq.network.hosting import device_backend
from ssvq.network.hosting.device_backend import open_bus
from ssvq_gen.config import PRESETS
from ssvq_gen.format import ErrorCode
from ssvq_sim.systems.core_model import CoreFault

TINY = PRESETS["tiny"]
BOARD = """
from fake_device import FakeBus
from ssvq_gen.config import PRESETS

def open_bus():
    bus = FakeBus(PRESETS[{config!r}], memory_bytes={memory_bytes})
    bus.memory_base = 0x4000_0000  # `tiny` has addresses of 32 bits
    return bus

def nothing():
    return object()
"""


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vit")
    result = run("compile", *model(folder, "vit"), "-o", folder / "vit.ssvqnet", "--config", "tiny", "--format", "ssvq")
    assert result.exit_code == 0, result.output
    return folder / "vit.ssvqnet"


def board(folder: Path, *, config: str = "tiny", memory_bytes: int = 1 << 20) -> str:
    (folder / "board.py").write_text(BOARD.format(config=config, memory_bytes=memory_bytes))
    return f"file:{folder / 'board.py'}:open_bus"


def on_device(vit: Path, bus: str, *arguments: object) -> Any:
    return run("run", vit, "--backend", "device", "--bus", bus, *arguments)


def test_a_network_is_compared_with_the_golden_model(vit: Path, tmp_path: Path) -> None:
    result = on_device(vit, board(tmp_path), "--json")
    assert result.exit_code == 0, result.output
    about = json.loads(result.output)
    assert (about["backend"], about["bit_exact"], about["cycles"] > 0) == ("device", True, True)


def test_a_record_has_what_the_device_counted(vit: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    result = on_device(vit, board(tmp_path), "--record", file, "--bytes-per-cycle", 2)
    assert result.exit_code == 0, result.output
    record = json.loads(file.read_text())
    assert (record["backend"], record["bytes_per_cycle"], record["bit_exact"]) == ("device", 2, True)
    assert all(part["profile"] for part in record["parts"])
    assert all(part["counters"]["TOTAL_CYCLES"] > 0 for part in record["parts"])
    page = tmp_path / "page.html"
    assert run("report", vit, "--run", file, "-o", page).exit_code == 0


def test_what_the_driver_finds_wrong_is_one_line(vit: Path, tmp_path: Path) -> None:
    text = on_device(vit, board(tmp_path, config="edge"))
    assert text.exit_code == 1
    assert "error: DigestMismatch: the core has configuration digest" in text.output
    small = on_device(vit, board(tmp_path, memory_bytes=4096))
    assert small.exit_code == 1
    assert "error: ProgramError: the program needs a window of" in small.output


def test_a_job_that_fails(vit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = FakeBus.__init__

    def failing(self: FakeBus, *arguments: Any, **options: Any) -> None:
        start(self, *arguments, **options)
        self.faults.fails = CoreFault(ErrorCode.READ_SLAVE, 0, self.memory_base)

    monkeypatch.setattr(FakeBus, "__init__", failing)
    result = on_device(vit, board(tmp_path))
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("error: AxiReadError: ")


DEVICE = ("--backend", "device", "--bus")


def test_a_job_that_does_not_end(vit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeBus, "_execute", lambda self: None)
    result = on_device(vit, board(tmp_path), "--timeout", 0.5)
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("error: JobTimeout: no end after 0.5 s, 0 of ")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (DEVICE[:2], "--backend device needs --bus, and no other does"),
        (("--bus", "uio:a:b"), "--backend device needs --bus, and no other does"),
        ((*DEVICE, "uio:a:b", "--timeout", "0"), "--timeout must be above 0, not 0"),
        ((*DEVICE, "uio:/dev/uio0"), "bus must be uio:REGISTERS:WINDOW or file:PATH.py:FUNCTION, not 'uio:/dev/uio0'"),
        ((*DEVICE, "pci:1"), "bus must be uio:REGISTERS:WINDOW or file:PATH.py:FUNCTION, not 'pci:1'"),
        ((*DEVICE, "file:none.py:f"), "the bus's file must exist, not 'none.py'"),
        ((*DEVICE, "file:board.py:nothing"), "must return a ssvq.driver.Bus: object has no elapsed"),
        ((*DEVICE, "file:board.py:other"), "board.py must have a function 'other'"),
        ((*DEVICE, "uio:uio9:udmabuf9"), "udmabuf9 is no u-dma-buf that the kernel knows"),
        ((*DEVICE, "file:board.py:open_bus", "--record-all"), "--record-all needs --backend sim and --record"),
    ],
)
def test_bad_input(
    vit: Path, tmp_path: Path, arguments: tuple[str, ...], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    board(tmp_path)
    assert text in refused(run("run", vit, *arguments))


class Uio:
    """In place of `UioBus`: says what it was opened with, and whether it was closed."""

    opened: tuple[str, str] = ("", "")
    closed = False

    def __init__(self, uio: str, window: str) -> None:
        Uio.opened = (uio, window)

    def __enter__(self) -> FakeBus:
        bus = FakeBus(TINY)
        bus.memory_base = 0x4000_0000
        return bus

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        Uio.closed = True


def test_devices_of_linux(vit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_backend, "UioBus", Uio)
    result = on_device(vit, "uio:/dev/uio4:/dev/udmabuf1")
    assert result.exit_code == 0, result.output
    assert (Uio.opened, Uio.closed) == (("/dev/uio4", "/dev/udmabuf1"), True)
    assert "outputs are equal to the golden model's, bit for bit" in result.output


def test_without_the_devices() -> None:
    with pytest.raises(DriverError, match="memory_base and memory_bytes must be given"):
        open_bus("uio:/dev/uio9:/dev/udmabuf9")
