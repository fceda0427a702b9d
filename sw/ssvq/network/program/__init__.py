"""From an integer network to a program: places in memory, and descriptors."""
