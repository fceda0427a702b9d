"""Readers that are fuzzed: each module has a `TARGET`."""
