"""Files of a core around Verilog that is in the simulators' cache: emitting it anew takes most of the time."""

from pathlib import Path

import pytest

import ssvq_gen.generate
from ssvq_gen.config import CoreConfig
from ssvq_gen.generate import core_files, write_files
from ssvq_sim.core_verilog import core_verilog
from ssvq_sim.smoke.files import smoke_files


def write_core(config: CoreConfig, folder: Path) -> None:
    """All that `make verilog` writes, and the small simulation."""
    verilog = core_verilog(config).path.read_text()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssvq_gen.generate, "emit_verilog", lambda _: verilog)
        write_files({**core_files(config), **smoke_files(config)}, folder)
