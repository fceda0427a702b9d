"""Which block a cell belongs to."""

import pytest

from ssvq_gen.synthesis.blocks import Cell, block_of, count_blocks, parse_cells, plain_path
from ssvq_gen.synthesis.targets import TARGETS

SCOPES = ["matmul$425", "matmul$425.array", "matmul$425.array.row0", "matmul$425.decoder", "load"]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("\\matmul$425.writeback.parameters$59.buffer", "matmul.writeback.parameters.buffer"),
        ("$flatten\\matmul$425.\\array.\\row0.$mul$ssvq_core.v:1$2", "matmul.array.row0.$mul$ssvq_core.v:1"),
        ("\\fetch.i__payload$14_TRELLIS_FF_Q_242", "fetch.i__payload$14_TRELLIS_FF_Q_242"),
        ("load", "load"),
    ],
)
def test_plain_path(name: str, plain: str) -> None:
    assert plain_path(name) == plain


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("\\matmul.array.row0.partial_LUT4_Z", "matmul.array"),
        ("\\matmul.decoder.state", "matmul.decoder"),
        ("\\matmul.decoder2.state", "matmul"),
        ("\\load", ""),
        ("\\busy_LUT4_Z", ""),
        ("$abc$123$auto$1", ""),
    ],
)
def test_innermost_module(name: str, block: str) -> None:
    assert block_of(name, frozenset({"matmul", "matmul.array", "matmul.decoder", "load"})) == block


def test_dump_is_parsed() -> None:
    lines = ["module \\top\n", "  wire \\cell\n", "  cell \\LUT4 \\load.a\n", "    connect \\A \\b\n", "  end\n"]
    assert list(parse_cells(lines)) == [Cell(type="LUT4", name="\\load.a")]


def test_parts_add_up() -> None:
    names = ["matmul$425.array.row0.a", "matmul$425.decoder.b", "matmul$425.c", "load.d", "load.e", "f"]
    cells = [*(Cell(type="$scopeinfo", name=f"\\{scope}") for scope in SCOPES)]
    cells += [Cell(type="LUT4", name=f"\\{name}_LUT4_Z") for name in names]
    blocks = count_blocks(TARGETS["ecp5"], cells)
    assert {block.path: block.resources["lut"] for block in blocks} == {
        "": 6,
        "load": 2,
        "matmul": 3,
        "matmul.array": 1,
        "matmul.decoder": 1,
    }
    assert [block.depth for block in blocks] == [0, 1, 1, 2, 2]
