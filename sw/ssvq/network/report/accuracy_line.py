"""How near a network's outputs are to the float model's, in a number or a few."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

TOP = 5


def cosine(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """Of the angle between two outputs; 1 where both are zero, and 0 where one is."""
    a, b = (np.asarray(values, dtype=np.float64).reshape(-1) for values in (found, expected))
    sizes = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if not all(sizes):
        return float(sizes[0] == sizes[1])
    return float(a @ b / sizes[0] / sizes[1])


def top(values: npt.NDArray[Any], count: int = TOP) -> list[tuple[int, float]]:
    """The places of the largest scores and these, largest first, of one row (1, N) of float numbers; else none."""
    if values.ndim != 2 or values.shape[0] != 1 or values.dtype.kind != "f":
        return []
    order = np.argsort(-values[0], kind="stable")[:count]
    return [(int(place), float(values[0, place])) for place in order]
