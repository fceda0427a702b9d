"""Text of all that decides what a simulation of the project gives, for keys of kept results."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

PACKAGES = ("ssvq", "ssvq_gen", "ssvq_rtl", "ssvq_sim")
_SUFFIXES = (".py", ".sv", ".v", ".vlt", ".cpp", ".toml")


@cache
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
