"""Whether the core depends on what its registers and memories hold before the first reset."""
