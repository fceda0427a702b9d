"""Which cases of a parametrized test run."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SUBJECT = """
import pytest

@pytest.mark.parametrize("a", range(4))
@pytest.mark.parametrize(("b", "c"), [(0, "x"), (1, "y"), (2, "x")])
def test_two(a, b, c): pass

@pytest.mark.parametrize("a", range(5))
def test_one(a): pass

@pytest.mark.parametrize("seed", range(9))
def test_seeds(seed): pass

@pytest.mark.parametrize("config", range(7))
def test_configs(config): pass

def test_none(): pass
"""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "16 passed, 18 deselected"),
        (("--every-case",), "34 passed"),
        (("-k", "test_two and 2-x"), "4 passed, 30 deselected"),
        (("test_subject.py::test_two[0-x-3]",), "1 passed"),
        (("-k", "test_configs"), "3 passed, 31 deselected"),
    ],
)
def test_cases(tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_subject.py").write_text(SUBJECT, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1].startswith(f"{expected} in"), done.stdout
