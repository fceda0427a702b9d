"""What results depend on, as a key."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..cache import content_key
from ..sources import project_sources


def tree_digest(arguments: Sequence[str]) -> str:
    """Stands for all sources of the packages and the arguments of a command."""
    return content_key({**project_sources(), "arguments": json.dumps(list(arguments))})
