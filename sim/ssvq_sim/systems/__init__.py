"""Random cores, layers, programs and faults, with what has to come of them."""
