"""`make bench`: cycles of matrix products and of a whole DeiT-tiny on the simulated core, against their rooflines."""
