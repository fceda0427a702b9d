"""The session on the page about networks runs as it stands there."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from command_models import run

PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
SESSION = PAGE.partition("## Commands")[2].partition("```sh\n")[2].partition("```")[0].splitlines()


def test_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [shlex.split(line) for line in SESSION]
    assert [words[:2] for words in commands] == [
        ["ssvq", name] for name in ("compress", "compile", "run", "inspect", "run")
    ]
    for _, *arguments in commands[:-1]:  # the last needs minutes and a simulator; tests/cosim runs one like it
        result = run(*arguments)
        assert result.exit_code == 0, result.output
    assert np.load("logits.npy").shape == (1, 10)
    assert Path("tensors/core-0/index.json").is_file()
    assert commands[-1][3:5] == ["--backend", "sim"]
