"""Amaranth components of the core, one public class a file."""
