"""Release archives: what is in them, the same bytes every time, and clear words when something is missing."""

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from ssvq_gen.packaging.__main__ import main, release
from ssvq_gen.packaging.archive import CONTENT, SUMS_FILE, ArchiveError, content, packed, sums


def fill(core: Path, project: Path) -> None:
    """One file for each required rule."""
    for rule in CONTENT:
        path = (project if rule.of_project else core) / rule.source.replace("*", "one")
        if rule.required:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{rule.source}\n")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    core, project = tmp_path / "build" / "tiny", tmp_path / "project"
    fill(core, project)
    return core, project


def test_content(folders: tuple[Path, Path]) -> None:
    core, project = folders
    files = content(core, project)
    wanted = {"ssvq_core.v", "ssvq_core.core", "manifest.json", "sim/memory.hex", "vivado/package_ip.tcl", "LICENSE"}
    assert {*wanted, "docs/one.md", "constraints/ecp5.lpf", "integration/litex/one.py", "synth/one.ys"} <= set(files)
    (core / "sim" / "tb.vvp").write_text("left by someone")
    assert set(content(core, project)) == set(files)
    assert list(files)[:-1] == sorted(list(files)[:-1])
    assert list(files)[-1] == SUMS_FILE
    assert len(files) == 1 + sum(rule.required for rule in CONTENT)


def test_driver_is_taken_when_it_is_there(folders: tuple[Path, Path]) -> None:
    core, project = folders
    before = set(content(core, project))
    driver = project / "sw" / "c"
    for name in ("ssvq.c", "include/ssvq.h", "build/ssvq.c", ".cache/x", "old.o"):
        (driver / name).parent.mkdir(parents=True, exist_ok=True)
        (driver / name).write_text(name)
    assert set(content(core, project)) - before == {"sw/c/ssvq.c", "sw/c/include/ssvq.h"}


@pytest.mark.parametrize("rule", [rule for rule in CONTENT if rule.required], ids=lambda rule: rule.source)
def test_what_is_missing_is_named(folders: tuple[Path, Path], rule: object) -> None:
    core, project = folders
    root = project if rule.of_project else core  # type: ignore[attr-defined]
    (root / rule.source.replace("*", "one")).unlink()  # type: ignore[attr-defined]
    with pytest.raises(ArchiveError) as error:
        content(core, project)
    remedy = "run from the project's folder" if root is project else "run make verilog CONFIG=tiny"
    assert str(error.value) == f"{root / rule.source} is not there: {remedy}"  # type: ignore[attr-defined]


def test_bytes_do_not_depend_on_times_or_owners(folders: tuple[Path, Path]) -> None:
    core, project = folders
    first = packed(content(core, project), "x")
    for path in [*core.rglob("*"), *project.rglob("*")]:
        os.utime(path, (1, 1))
        path.chmod(0o700)
    assert packed(content(core, project), "x") == first
    (core / "manifest.json").write_text("other")
    assert packed(content(core, project), "x") != first


def test_archive_unpacks_and_its_sums_hold(folders: tuple[Path, Path], tmp_path: Path) -> None:
    core, project = folders
    files = content(core, project)
    with tarfile.open(fileobj=io.BytesIO(packed(files, "top"))) as archive:
        assert [m.name for m in archive] == [f"top/{name}" for name in files]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in archive} == {(0, 0, 0, "", "")}
        assert {m.name for m in archive if m.mode & 0o111} == {"top/synth/yosys.sh"}
        archive.extractall(tmp_path / "out", filter="data")
    check = ["sha256sum", "--check", "--strict", SUMS_FILE]
    top = tmp_path / "out" / "top"
    assert subprocess.run(check, cwd=top, capture_output=True, check=False).returncode == 0
    (top / "manifest.json").write_text("other")
    assert subprocess.run(check, cwd=top, capture_output=True, check=False).returncode == 1


def test_sums() -> None:
    assert sums({"a": b"1"}) == f"{hashlib.sha256(b'1').hexdigest()}  a\n"


def test_command(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    core, project = folders
    options = ["--output", str(core.parent), "--project", str(project)]
    name = f"ssvq-core-{release()}-tiny"
    assert main(["tiny", *options]) == 0
    data = (core.parent / "dist" / f"{name}.tar.gz").read_bytes()
    assert (core.parent / "dist" / SUMS_FILE).read_text() == sums({f"{name}.tar.gz": data})
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames()[0].startswith(f"{name}/")
    assert name in capsys.readouterr().out


def test_command_writes_all_archives_or_none(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    core, project = folders
    options = ["--output", str(core.parent), "--project", str(project)]
    assert main(["tiny", "edge", *options]) == 2
    missing = core.parent / "edge" / "ssvq_core.v"
    assert capsys.readouterr().err == f"error: {missing} is not there: run make verilog CONFIG=edge\n"
    assert not (core.parent / "dist").exists()
    assert main(["nano", *options]) == 2
    assert capsys.readouterr().err.startswith("error: 'nano' is neither a preset")
