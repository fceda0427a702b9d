"""The bare-metal example, with a board that is files: it polls, and takes one input after the other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from c_driver import SOURCES, build
from driver_programs import CONFIG, LAYERS
from fake_device import Faults
from linux_machine import LinuxMachine

from ssvq.compile import compile_layer
from ssvq.program_file import program_to_bytes
from ssvq_gen.format import ErrorCode
from ssvq_sim.systems.core_model import CoreFault
from ssvq_sim.systems.layers import random_input

WINDOW, WINDOW_BYTES = 0x1000_0000, 1 << 16
HOST = Path(__file__).with_name("bare_metal_host.c")
LAYER, TOKENS = LAYERS[0]
RUNS = 3


def build_board(folder: Path, program: bytes) -> Path:
    """The example with a program, in an executable."""
    core = build(CONFIG, target="core")
    values = ",".join(map(str, program))
    text = f"#include <stddef.h>\n#include <stdint.h>\nconst uint8_t board_program[] = {{{values}}};\n"
    (folder / "program.c").write_text(f"{text}const size_t board_program_bytes = {len(program)};\n")
    places = ("-DBOARD_REGISTERS=0x43C00000u", f"-DBOARD_WINDOW={WINDOW:#x}u", f"-DBOARD_WINDOW_BYTES={WINDOW_BYTES}u")
    flags = ("cc", "-std=c11", *places, f"-I{SOURCES / 'include'}", f"-I{core}")
    example = [*flags, "-Dmain=bare_metal_main", "-c", str(SOURCES / "examples/bare_metal.c"), "-o", "example.o"]
    whole = [*flags, str(HOST), "program.c", "example.o", str(core / "libssvq.a"), "-o", "board"]
    for command in (example, whole):
        subprocess.run(command, cwd=folder, check=True)
    return folder / "board"


def test_runs_and_failures(tmp_path: Path) -> None:
    program = compile_layer(CONFIG, LAYER, TOKENS)
    board = build_board(tmp_path, program_to_bytes(program))
    rng = np.random.default_rng(4)
    inputs = [random_input(rng, TOKENS, LAYER) for _ in range(RUNS)]
    (tmp_path / "inputs").write_bytes(b"".join(x.tobytes() for x in inputs))
    with LinuxMachine(CONFIG, tmp_path, memory_bytes=WINDOW_BYTES) as machine:
        command = [str(board), str(machine.uio), str(machine.memory), "inputs", "outputs"]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
        found = np.fromfile(tmp_path / "outputs", dtype=np.int8).reshape(RUNS, TOKENS, -1)
        for x, output in zip(inputs, found, strict=True):
            np.testing.assert_array_equal(output, LAYER.reference(x).output)
        assert machine.bus.registers["MEMORY_BASE_LO"] == WINDOW
        machine.bus.faults = Faults(fails=CoreFault(ErrorCode.WATCHDOG, 0))
        failed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert failed.returncode == 1
        assert failed.stderr.startswith(f"descriptor 0 (LOAD of layer 'up') failed: {ErrorCode.WATCHDOG.meaning}")


def test_damaged_program(tmp_path: Path) -> None:
    data = bytearray(program_to_bytes(compile_layer(CONFIG, LAYER, TOKENS)))
    data[100] ^= 1
    board = build_board(tmp_path, bytes(data))
    (tmp_path / "inputs").touch()
    with LinuxMachine(CONFIG, tmp_path, memory_bytes=WINDOW_BYTES) as machine:
        command = [str(board), str(machine.uio), str(machine.memory), "inputs", "outputs"]
        failed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert failed.returncode == 1
        assert failed.stderr == "the digest at the end of the program does not match its content\n"
        assert not machine.bus.memory.any()
