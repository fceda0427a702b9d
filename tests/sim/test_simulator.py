"""A simulator in the cache is the one of the texts that it is asked for."""

from pathlib import Path

import pytest

import ssvq_sim.simulator
from ssvq_gen.config import PRESETS
from ssvq_sim.cache import ROOT_VARIABLE
from ssvq_sim.core_verilog import CoreVerilog
from ssvq_sim.simulator import FAST_BENCH, PORTS_BENCH, build_simulator

TINY = PRESETS["tiny"]


class Concatenation:
    """In place of Verilator: the sources one after the other."""

    make_variables: tuple[str, ...] = ()

    def build(self, *, sources: list[Path], hdl_toplevel: str, build_dir: Path, **_: object) -> None:
        build_dir.mkdir()
        (build_dir / hdl_toplevel).write_text("".join(source.read_text() for source in sources))

    def keep_library(self) -> None:
        """Nothing is linked."""


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CoreVerilog:
    """Verilog of a core with one cell model."""
    verilog = CoreVerilog(path=tmp_path / "core.v", models=(tmp_path / "cell.v",), seconds=0)
    verilog.path.write_text("the core")
    verilog.models[0].write_text("the cell")
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(ssvq_sim.simulator, "core_verilog", lambda config: verilog)
    monkeypatch.setattr(ssvq_sim.simulator, "PortsOnlyVerilator", Concatenation)
    return verilog


def test_built_once(core: CoreVerilog) -> None:
    first = build_simulator(TINY)
    assert first.build_seconds > 0
    again = build_simulator(TINY)
    assert (again.executable, again.build_seconds) == (first.executable, 0)
    assert "the core" in first.executable.read_text()


@pytest.mark.parametrize("part", ["core", "cell"])
def test_another_text_is_another_simulator(core: CoreVerilog, part: str) -> None:
    path = {"core": core.path, "cell": core.models[0]}[part]
    before = build_simulator(TINY).executable
    path.write_text(f"another {part}")
    after = build_simulator(TINY).executable
    assert after != before
    assert f"another {part}" in after.read_text()


def test_benches_and_waves_have_simulators_of_their_own(core: CoreVerilog) -> None:
    paths = {
        build_simulator(TINY, trace=trace, bench=bench).executable
        for trace in (False, True)
        for bench in (FAST_BENCH, PORTS_BENCH)
    }
    assert len(paths) == 4
