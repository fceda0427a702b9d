"""Fixtures of the generator's tests."""

import sys
from types import ModuleType

import pytest
from stub_core import StubCore


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line builds the stub instead of the real core."""
    module = ModuleType("ssvq_rtl.core")
    module.SsvqCore = StubCore  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ssvq_rtl.core", module)
