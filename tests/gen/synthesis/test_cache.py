"""Results that are kept."""

from pathlib import Path

import pytest

from ssvq_gen.synthesis.cache import cached, key_of


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "result.json"
    made = iter([{"a": (1, 2)}, {"a": [3]}, {"a": [4]}])
    assert cached(path, "k1", lambda: next(made)) == {"a": [1, 2]}
    assert cached(path, "k1", lambda: next(made)) == {"a": [1, 2]}
    assert cached(path, "k2", lambda: next(made)) == {"a": [3]}
    path.write_text("half a fi")
    assert cached(path, "k2", lambda: next(made)) == {"a": [4]}


def test_a_broken_run_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        cached(tmp_path / "result.json", "k", fails)
    assert list(tmp_path.iterdir()) == []


def test_keys_tell_parts_apart() -> None:
    assert key_of("ab", "c") != key_of("a", "bc") != key_of("abc")
    assert key_of("a") == key_of("a")
