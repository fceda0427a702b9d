"""Coverage of the generated Verilog: which lines, branches and toggles the scenarios reach."""
