"""The page on networks names every operator with its attributes, and the errors as they are."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from ssvq.network import operators as ops

PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
KINDS = [
    kind
    for kind in (getattr(ops, name) for name in ops.__all__)
    if isinstance(kind, type) and issubclass(kind, ops.Operator) and kind is not ops.Operator
]


@pytest.mark.parametrize("kind", KINDS)
def test_operator(kind: type) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{kind.__name__}` |")]
    operands, attributes = (cell.strip() for cell in row.split("|")[2:4])
    fields = [field.name for field in dataclasses.fields(kind)]
    assert sorted(attributes.split(", ")) == sorted(fields) if fields else attributes == ""
    # operands that have to be constants, in italics
    assert len(re.findall(r"\*\w+\*", operands)) == len(kind.parameters)  # type: ignore[attr-defined]


def test_all_rows_are_operators() -> None:
    table = PAGE.partition("## Operators")[2].partition("What both front ends")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert len(rows) == len(KINDS) == 25
