"""Everything that the project checks of itself, by one command."""
