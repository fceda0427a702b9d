"""Data and packages that tests use where they can be had."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from ssvq.data import MissingDataError
from ssvq.models import MissingPackageError

T = TypeVar("T")


def loaded_or_skip(load: Callable[[], T]) -> T:
    """What `load` returns; skips the test, with the reason, where it needs something that is not to be had here."""
    try:
        return load()
    except (MissingDataError, MissingPackageError) as error:
        pytest.skip(str(error))
