"""The tutorial's commands work as it has them; its board is a fake one behind a serial port."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import Result
from serial_board import SerialBoard
from typer.testing import CliRunner

from ssvq.cli import app
from ssvq_gen.config import CoreConfig

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
SESSION = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).replace("\\\n", "").splitlines()
COMMANDS = [shlex.split(line, comments=True)[1:] for line in SESSION if line.startswith("ssvq ")]


def command(start: str, *, among: str = "") -> list[str]:
    (found,) = (words for words in COMMANDS if words[0] == start and among in " ".join(words))
    return found


def run(words: list[str]) -> Result:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the session has come to the board."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name in ("examples", "integration"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "build").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in (command("compress"), command("compile"), command("run", among="--backend sim")[:2]):
            run(words)
    return folder


def test_on_the_board(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(compiled)
    with SerialBoard(CoreConfig.load(str(ROOT / "examples" / "own_core.toml"))) as board:
        monkeypatch.setenv("SSVQ_PORT", board.port)
        result = run(command("run", among="--backend device"))
    assert "outputs are equal to the golden model's, bit for bit" in result.output


def test_without_a_board(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(compiled)
    monkeypatch.setenv("SSVQ_PORT", "/dev/none")
    result = CliRunner().invoke(app, command("run", among="--backend device"))
    assert result.exit_code == 2
    assert "/dev/none" in result.output


@pytest.mark.cosim
def test_in_verilog(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(compiled)
    result = run(command("run", among="--backend sim"))
    assert "outputs are equal to the golden model's, bit for bit" in result.output
    (cycles,) = re.findall(r"^([\d,]+) cycles$", result.output, re.MULTILINE)
    assert f"{cycles} cycles" in PAGE


def test_files_and_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in SESSION:
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"]:
            assert f"\n{words[1]}:" in makefile, line
        for word in words:
            if re.fullmatch(r"(examples|integration)/[\w/.]+", word):
                assert (ROOT / word).exists(), word
    for link in re.findall(r"\]\(((?!http)[^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
