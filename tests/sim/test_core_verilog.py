"""The Verilog in the cache is that of the core that is asked for."""

import re
from pathlib import Path

import pytest

import ssvq_gen
import ssvq_rtl
import ssvq_sim.core_verilog
from ssvq_gen.config import ECP5, PRESETS, CoreConfig
from ssvq_sim.cache import ROOT_VARIABLE
from ssvq_sim.core_verilog import GENERATOR_MODULES, core_verilog

TINY = PRESETS["tiny"]


@pytest.fixture(autouse=True)
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of Verilog, what it would be made of."""
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    monkeypatch.setattr(ssvq_sim.core_verilog, "build_core", lambda config: config)
    monkeypatch.setattr(ssvq_sim.core_verilog, "emit_verilog", repr)


@pytest.mark.parametrize(
    "other",
    [TINY.replace(profile_depth=0), TINY.replace(target="xc7"), TINY.replace(target="xc7", packed_macs=True)],
    ids=["another digest", "target", "packed"],
)
def test_each_core_has_its_own(other: CoreConfig) -> None:
    assert core_verilog(TINY).path.read_text() == repr(TINY)
    assert core_verilog(other).path.read_text() == repr(other)


def test_models_of_cells_are_beside_it() -> None:
    assert core_verilog(TINY).models == ()
    verilog = core_verilog(TINY.replace(target=ECP5))
    (model,) = verilog.models
    assert model == verilog.path.parent / "MULT18X18D.v"
    assert model.read_text() == (Path(ssvq_gen.__file__).parent / model.name).read_text()


def test_another_model_is_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    core = TINY.replace(target=ECP5)
    before = core_verilog(core)
    monkeypatch.setattr(ssvq_sim.core_verilog, "cell_models", lambda config: {"MULT18X18D.v": "another"})
    after = core_verilog(core)
    assert after.path != before.path
    assert [model.read_text() for model in after.models] == ["another"]


def test_a_name_changes_nothing() -> None:
    assert core_verilog(TINY).path == core_verilog(TINY.replace(name="mine")).path


def test_all_modules_that_decide_are_in_the_key() -> None:
    gen, rtl = (Path(package.__path__[0]) for package in (ssvq_gen, ssvq_rtl))
    used = {
        *re.findall(r"^ *from ssvq_gen\.(\w+) import", "".join(f.read_text() for f in rtl.glob("*.py")), re.MULTILINE),
        "verilog",
    }
    while (
        more := {
            name
            for module in used
            for name in re.findall(r"^ *from \.(\w+) import", (gen / f"{module}.py").read_text(), re.MULTILINE)
        }
        - used
    ):
        used |= more
    assert sorted(used) == GENERATOR_MODULES
