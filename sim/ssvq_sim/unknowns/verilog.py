"""The core's Verilog without initial values, as an FPGA family or a simulator sees it that does not load them."""

from __future__ import annotations

import re

_DUMMY = "dump_module$"
"""Amaranth's emitter has a register of this name, which exists for its initial value alone."""
_REGISTER = re.compile(r"^(\s*reg\b[^=;]*?)\s*=\s*[^;]+;", re.MULTILINE)


_RESET = "if (rst) begin"


def without_resets(text: str) -> str:
    """Verilog in which no register is reset. Raises ValueError when there is none that was."""
    if _RESET not in text:
        raise ValueError(f"the core's Verilog must have {_RESET!r}")
    return text.replace(_RESET, "if (1'h0) begin")


def without_writes(text: str, register: str) -> str:
    """Verilog in which registers of a name keep what they begin with. Raises ValueError when there is none."""
    changed, count = re.subn(rf"^(\s*){re.escape(register)} <= .*;$", rf"\1{register} <= {register};", text, flags=re.M)
    if not count:
        raise ValueError(f"the core's Verilog must have a register {register!r}")
    return changed


def without_initial_values(text: str) -> tuple[str, int]:
    """Verilog in which no register is declared with a value, and how many were. ROMs keep their contents: memories that
    can be written have none in the first place."""

    def strip(match: re.Match[str]) -> str:
        # An escaped name ends with a space.
        return match[0] if _DUMMY in match[0] else f"{match[1]} ;"

    stripped = _REGISTER.sub(strip, text)
    return stripped, sum(a != b for a, b in zip(text.splitlines(), stripped.splitlines(), strict=True))
