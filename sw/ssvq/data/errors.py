"""What can be wrong with data."""


class MissingDataError(RuntimeError):
    """Data cannot be had here; the text says what to do."""


class DataFileError(ValueError):
    """A file is not what it should be; the text names the file and the rule."""
