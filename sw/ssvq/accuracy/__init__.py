"""The accuracy of compressed models: the sweep behind `docs/results`, `make accuracy`."""
