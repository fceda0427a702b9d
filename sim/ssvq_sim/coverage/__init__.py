"""Coverage: lines, branches and toggles of the generated Verilog that the scenarios reach, and functional bins."""
