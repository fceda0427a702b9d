"""Who imports whom, read from the sources themselves.

The architecture as data imports nothing of ours; hardware and software import it and never each other; only the
generator imports the hardware; the simulation may import all.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssvq_sim.imports import imports

ROOT = Path(__file__).parents[1]
PACKAGES = {"ssvq_gen": "gen", "ssvq_rtl": "rtl", "ssvq_sim": "sim", "ssvq": "sw"}
DATA = {
    f"ssvq_gen.{name}"
    for name in ("config", "format", "stream_format", "registers", "arithmetic", "vector_arithmetic", "profile")
}
"""The architecture as data: the standard library, and each other."""
GENERATOR_OF_RTL = "ssvq_gen.verilog"


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def is_data(module: str) -> bool:
    return module == "ssvq_gen" or any(is_in(module, data) for data in DATA)


def violations(module: str, imported: str) -> str | None:
    """Why `module` may not import `imported`, or None."""
    top = imported.split(".")[0]
    if module in DATA and not is_data(imported) and top not in sys.stdlib_module_names:
        return "the architecture as data uses the standard library only"
    if top not in PACKAGES or is_in(module, "ssvq_sim") or is_in(module, top):
        return None
    if top == "ssvq_gen":
        return None if is_data(imported) or imported.rpartition(".")[0] in DATA else "only the architecture as data"
    if top == "ssvq_rtl" and module == GENERATOR_OF_RTL:
        return None
    return f"only the generator imports ssvq_rtl; {top} is not for others"


def sources() -> Iterator[tuple[str, Path]]:
    for package, folder in PACKAGES.items():
        for path in sorted((ROOT / folder / package).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join(parts).removesuffix(".__init__"), path


@pytest.mark.parametrize(("module", "path"), list(sources()), ids=lambda value: value if isinstance(value, str) else "")
def test_import_rule(module: str, path: Path) -> None:
    found = imports(path.read_text(encoding="utf-8"), module, is_package=path.name == "__init__.py")
    broken = {f"{module} imports {name}: {why}" for name in found if (why := violations(module, name))}
    assert not broken


def test_every_package_is_there() -> None:
    assert {module.split(".")[0] for module, _ in sources()} == set(PACKAGES)


@pytest.mark.parametrize(
    ("module", "source", "allowed"),
    [
        ("ssvq_gen.config", "import numpy", False),
        ("ssvq_gen.config", "import json, pathlib", True),
        ("ssvq_gen.format", "from .config import CoreConfig", True),
        ("ssvq_gen.registers", "from . import docs", False),
        ("ssvq_gen.profile", "from .registers import COUNTERS", True),
        ("ssvq_gen.config", "from .toolbox import run_yosys", False),
        ("ssvq_rtl.core", "from ssvq_gen.config import CoreConfig", True),
        ("ssvq_rtl.core", "from ssvq_gen import format", True),
        ("ssvq_rtl.core", "from ssvq_gen.toolbox import ToolError", False),
        ("ssvq_rtl.core", "import ssvq.compile", False),
        ("ssvq.driver", "from ssvq_rtl.core import SsvqCore", False),
        ("ssvq.driver", "from ssvq_sim import bus", False),
        ("ssvq.driver", "from .compile import compile_network", True),
        ("ssvq_gen.verilog", "from ssvq_rtl.core import SsvqCore", True),
        ("ssvq_gen.docs", "from ssvq_rtl.core import SsvqCore", False),
        ("ssvq_gen.docs", "import ssvq", False),
        ("ssvq_sim.cosim", "import ssvq, ssvq_rtl.core, ssvq_gen.toolbox", True),
    ],
)
def test_the_rule_itself(module: str, source: str, allowed: bool) -> None:
    reasons = [violations(module, name) for name in imports(source, module, is_package=False)]
    assert any(reasons) is not allowed
