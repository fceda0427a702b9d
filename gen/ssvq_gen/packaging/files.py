"""What packages a core, as files beside its Verilog."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from ..config import CoreConfig
from ..verilog import Port
from .constraints import constraint_files
from .fusesoc import CORE_FILE, WAIVER_FILE, core_file_text, synthesis_files
from .simulation import cell_model_files
from .vivado import SCRIPT_FILE, WRAPPER_FILE, script_text, wrapper_text


def packaging_files(config: CoreConfig, ports: Sequence[Port]) -> dict[str, str]:
    """Text of each file by its name below the core's folder."""
    return {
        CORE_FILE: core_file_text(config),
        WAIVER_FILE: files("ssvq_gen").joinpath(WAIVER_FILE).read_text(encoding="utf-8"),
        **cell_model_files(config),
        **synthesis_files(config),
        WRAPPER_FILE: wrapper_text(ports),
        SCRIPT_FILE: script_text(config, ports),
        **constraint_files(),
    }
