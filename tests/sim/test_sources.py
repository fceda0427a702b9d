"""Keys of results change with what a module may depend on, and with nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ssvq_sim import sources
from ssvq_sim.sources import PACKAGES, Unit, result_key, sources_of, unit_of, units_of
from ssvq_sim.verify.part import Part
from ssvq_sim.verify.parts import PARTS

_LOADED = """
import importlib.util, json, sys
command = sys.argv[1] + ".command"
importlib.import_module(command if importlib.util.find_spec(command) else sys.argv[1] + ".__main__")
print(json.dumps([name for name in sys.modules if name.partition(".")[0] in {packages!r}]))
"""


def test_units() -> None:
    assert unit_of("ssvq_sim.fuzz.targets.npy") == Unit("ssvq_sim", "fuzz")
    assert unit_of("ssvq_sim.runner") == Unit("ssvq_sim")
    assert unit_of("ssvq_sim") == Unit("ssvq_sim")
    names = [name for name, _ in Unit("ssvq_sim").files()]
    assert "ssvq_sim/bench_top.sv" in names
    assert not any(name.startswith("ssvq_sim/fuzz/") for name in names)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_all_that_a_part_loads_is_among_its_sources(part: Part) -> None:
    code = _LOADED.format(packages=PACKAGES)
    command = [sys.executable, "-c", code, part.module]
    loaded = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    found = sources_of([part.module])
    assert len(loaded) > 10
    missing = {name for name in loaded if not {f"{_path(name)}.py", f"{_path(name)}/__init__.py"} & found.keys()}
    assert not missing


def _path(module: str) -> str:
    return module.replace(".", "/")


def test_hardware_is_in_all() -> None:
    for part in PARTS:
        assert {"ssvq_rtl/core.py", "ssvq_gen/config.py", "ssvq_sim/dram.cpp"} <= sources_of([part.module]).keys()


def test_parts_do_not_depend_on_each_other() -> None:
    assert Unit("ssvq_sim", "mutants") in units_of(["ssvq_sim.mutants"])
    for name in ("fuzz", "systems", "faults", "unknowns", "coverage"):
        assert Unit("ssvq_sim", "mutants") not in units_of([f"ssvq_sim.{name}"])


def test_a_key_changes_with_its_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a package with two folders, one of which imports the other."""
    for name, text in {"__init__": "", "a/__init__": "", "a/run": "from ..b import c", "b/c": "", "d/e": ""}.items():
        path = tmp_path / "played_package" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sources, "PACKAGES", ("played_package",))
    monkeypatch.setattr(sources, "_ALWAYS", ())

    def key() -> str:
        return result_key("played_package.a.run", {})

    first = key()
    (tmp_path / "played_package/d/e.py").write_text("x = 1")
    assert key() == first
    (tmp_path / "played_package/b/c.py").write_text("x = 1")
    changed = key()
    assert changed != first
    (tmp_path / "played_package/a/table.toml").write_text("x = 1")
    assert key() != changed
    assert result_key("played_package.a.run", {"seed": "1"}) != key()
