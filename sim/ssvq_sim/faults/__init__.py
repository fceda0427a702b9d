"""Faults of memory, host and descriptors that the core has to report and to survive."""
