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

def test_none(): pass
"""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "13 passed, 14 deselected"),
        (("--every-case",), "27 passed"),
        (("-k", "test_two and 2-x"), "4 passed, 23 deselected"),
        (("test_subject.py::test_two[0-x-3]",), "1 passed"),
    ],
)
def test_cases(tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_subject.py").write_text(SUBJECT, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1].startswith(f"{expected} in"), done.stdout
