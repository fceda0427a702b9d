"""Data that real users bring, and data that installs as packages; nothing is kept between calls but files.

Each module loads one kind: `fashion_mnist`, `image_folder`, `photos`, `text`, `glosses` and `similarity`. `debian`
fetches what only Debian packages carry.
"""

from ssvq.data.errors import DataFileError, MissingDataError

__all__ = ["DataFileError", "MissingDataError"]
