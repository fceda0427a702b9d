"""The architecture as data, and the generator that turns it into Verilog, headers and documentation.

`config`, `arithmetic`, `format` and `registers` use the standard library only and import nothing else of the project.
"""
