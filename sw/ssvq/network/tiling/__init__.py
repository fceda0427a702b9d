"""Networks that do not fit the activation memory: bands of rows, and tensors in DRAM."""
