"""What a verdict depends on, besides the simulator: the sources that the scenarios are made by."""

from __future__ import annotations

import sys
from pathlib import Path

from ..cache import content_key

_PACKAGES = ("ssvq", "ssvq_gen", "ssvq_sim")


def workload_digest() -> str:
    """Stands for all of our modules that this process has imported."""
    files = {
        name: Path(file)
        for name, module in sys.modules.items()
        if name.split(".")[0] in _PACKAGES and (file := getattr(module, "__file__", None))
    }
    return content_key({name: file.read_bytes() for name, file in files.items()})
