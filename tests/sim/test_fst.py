"""The VCD converter: what a reader of the FST finds is what the VCD says."""

from pathlib import Path

import pytest
from pylibfst import ffi, lib

from ssvq_sim.fst import vcd_to_fst

VCD = """$timescale 1ns $end
$scope module top $end
$var wire 1 ! clk $end
$var wire 4 # value [3:0] $end
$scope module inner $end
$var wire 4 # alias [3:0] $end
$upscope $end
$upscope $end
$enddefinitions $end
#0
0!
b11 #
#5
1!
#12
b1001 #
"""


def value_at(reader: object, handle: int, time: int) -> bytes:
    buffer = ffi.new("char[64]")
    return bytes(ffi.string(lib.fstReaderGetValueFromHandleAtTime(reader, time, handle, buffer)))


def test_converts_scopes_aliases_and_changes(tmp_path: Path) -> None:
    source, target = tmp_path / "a.vcd", tmp_path / "a.fst"
    source.write_text(VCD, encoding="utf-8")
    vcd_to_fst(source, target)
    reader = lib.fstReaderOpen(str(target).encode())
    assert lib.fstReaderGetScopeCount(reader) == 2
    assert lib.fstReaderGetVarCount(reader) == 3
    assert lib.fstReaderGetAliasCount(reader) == 1
    assert lib.fstReaderGetTimescale(reader) == -9
    assert lib.fstReaderGetEndTime(reader) == 12
    assert [value_at(reader, 1, t) for t in (0, 4, 5, 12)] == [b"0", b"0", b"1", b"1"]
    assert [value_at(reader, 2, t) for t in (0, 11, 12)] == [b"0011", b"0011", b"1001"]
    lib.fstReaderClose(reader)


def test_a_target_that_cannot_be_written(tmp_path: Path) -> None:
    source = tmp_path / "a.vcd"
    source.write_text(VCD, encoding="utf-8")
    with pytest.raises(OSError, match="cannot write"):
        vcd_to_fst(source, tmp_path / "none" / "a.fst")
