"""Turns Verilator's VCD into an FST.

Verilator could write FST itself, but only with the development files of LZ4 and zlib, which a fresh machine lacks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pylibfst import ffi, lib

_COMPRESS = 1


def vcd_to_fst(source: Path, target: Path) -> None:
    """Write `target`, an FST with all scopes, signals and changes of the VCD `source`. Raises OSError."""
    writer = lib.fstWriterCreate(str(target).encode(), _COMPRESS)
    if writer == ffi.NULL:
        raise OSError(f"cannot write {target}")
    try:
        _copy(source, writer)
    finally:
        lib.fstWriterClose(writer)


def _copy(source: Path, writer: Any) -> None:
    handles: dict[str, int] = {}
    widths: dict[str, int] = {}
    with source.open(encoding="utf-8") as lines:
        for line in lines:
            words = line.split()
            if not words:
                continue
            match words[0]:
                case "$timescale":
                    lib.fstWriterSetTimescaleFromString(writer, words[1].encode())
                case "$scope":
                    lib.fstWriterSetScope(writer, lib.FST_ST_VCD_MODULE, words[2].encode(), ffi.NULL)
                case "$upscope":
                    lib.fstWriterSetUpscope(writer)
                case "$var":
                    width, code, name = int(words[2]), words[3], " ".join(words[4:-1])
                    alias = handles.get(code, 0)
                    handle = lib.fstWriterCreateVar(
                        writer, lib.FST_VT_VCD_WIRE, lib.FST_VD_IMPLICIT, width, name.encode(), alias
                    )
                    handles.setdefault(code, handle)
                    widths[code] = width
                case time if time[0] == "#":
                    lib.fstWriterEmitTimeChange(writer, int(time[1:]))
                case value if value[0] == "b":
                    code = words[1]
                    lib.fstWriterEmitValueChange(writer, handles[code], value[1:].rjust(widths[code], "0").encode())
                case value if value[0] in "01xz":
                    lib.fstWriterEmitValueChange(writer, handles[value[1:]], value[:1].encode())
