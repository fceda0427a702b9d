"""From a configuration to the files of a core, written to `<output>/<configuration name>/`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .config import CoreConfig
from .docs import formats_markdown, registers_markdown
from .header import header_text
from .manifest import manifest_text
from .packaging.files import packaging_files
from .rdl import rdl_text
from .verilog import TOP, Port, build_core, core_ports, emit_verilog

VERILOG_FILE = f"{TOP}.v"
HEADER_FILE = f"{TOP}.h"
RDL_FILE = f"{TOP}.rdl"
MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Generated:
    """A core that was written."""

    config: CoreConfig
    folder: Path
    files: Mapping[str, str]

    @property
    def verilog(self) -> Path:
        """The Verilog file."""
        return self.folder / VERILOG_FILE

    @property
    def ports(self) -> list[Port]:
        """Ports of the top module, in their order."""
        return [Port(**port) for port in json.loads(self.files[MANIFEST_FILE])["ports"]]


def core_files(config: CoreConfig) -> dict[str, str]:
    """Text of every generated file by its name; the manifest is the last."""
    core = build_core(config)
    ports = core_ports(core)
    files = {
        VERILOG_FILE: emit_verilog(core),
        HEADER_FILE: header_text(config),
        RDL_FILE: rdl_text(config),
        "registers.md": registers_markdown(config),
        "formats.md": formats_markdown(config),
        **packaging_files(config, ports),
    }
    return {**files, MANIFEST_FILE: manifest_text(config, ports, files)}


def write_files(files: Mapping[str, str], folder: Path) -> None:
    """Write all files or none: they are complete in a temporary folder before the first is renamed into place.

    A file that already has the right content keeps its time stamp. Names may have folders in front.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as name:
        fresh = Path(name)
        for file, text in files.items():
            (fresh / file).parent.mkdir(parents=True, exist_ok=True)
            (fresh / file).write_text(text, encoding="utf-8", newline="\n")
        for file in files:
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.is_file() or target.read_bytes() != (fresh / file).read_bytes():
                (fresh / file).replace(target)


def generate(config: CoreConfig, output: Path) -> Generated:
    """Make and write the files of a core."""
    files = core_files(config)
    folder = output / config.name
    write_files(files, folder)
    return Generated(config=config, folder=folder, files=files)
