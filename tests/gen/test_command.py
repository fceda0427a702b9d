"""What the command lines have in common."""

import argparse
from collections.abc import Sequence

import pytest

from ssvq_gen.command import reports_errors, require_least
from ssvq_gen.config import ConfigError
from ssvq_gen.toolbox import ToolError


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError("bad"), 2), (OSError("no file"), 2), (KeyError("mine"), 2), (ToolError("broken"), 1)],
)
def test_an_error_is_a_line_and_a_code(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    @reports_errors(KeyError)
    def main(arguments: Sequence[str] | None = None) -> int:
        raise error

    assert main([]) == code
    assert capsys.readouterr().err == f"error: {error}\n"


def test_other_errors_and_codes_pass() -> None:
    @reports_errors()
    def main(arguments: Sequence[str] | None = None) -> int:
        return int((arguments or ["x"])[0])

    assert main(["3"]) == 3
    with pytest.raises(ValueError, match="invalid literal"):
        main()


def test_least() -> None:
    require_least(argparse.Namespace(jobs=1), "jobs", 1)
    with pytest.raises(ConfigError, match=r"^--jobs must be 1 or more, not 0$"):
        require_least(argparse.Namespace(jobs=0), "jobs", 1)
