"""Where things are in the SoC of `ecp5_soc.py`, for the SoC and for the host at the other end of its bridge."""

REGISTERS = 0x90000000
"""The core's registers: CPUs take what is from 0x80000000 on as device memory."""

RAM = 0x40000000
"""The SDRAM, where LiteX puts it."""

WINDOW_BYTES = 1 << 24
"""Of it, what the driver may use; the smallest SDRAM of the board has 32 MiB."""

BAUD = 115200
"""LiteX's rate of the bridge."""
