"""Blocks before and after synthesis: a proof that their netlists for three families do what their Verilog says."""
