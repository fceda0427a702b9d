"""The core that is run: Verilog without initial values, as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ssvq_gen.config import PRESETS
from ssvq_gen.verilog import TOP

from ..cache import cached_folder, content_key
from ..core_verilog import CoreVerilog, core_verilog
from .verilog import without_initial_values

CONFIG = PRESETS["tiny"]
Plant = Callable[[str], str]
"""Makes a mistake in a Verilog text."""


def subject(plant: Plant | None = None) -> tuple[CoreVerilog, int]:
    """The core's Verilog without initial values, and the number of registers that had one.

    plant : a mistake to be made in it
    """
    text, registers = without_initial_values(core_verilog(CONFIG).path.read_text(encoding="utf-8"))
    if plant is not None:
        text = plant(text)

    def make(folder: Path) -> None:
        (folder / f"{TOP}.v").write_text(text, encoding="utf-8")

    folder, _ = cached_folder("unknowns", content_key({"verilog": text}), make)
    return CoreVerilog(path=folder / f"{TOP}.v", models=(), seconds=0.0), registers
