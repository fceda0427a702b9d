"""Images, in the formats of folders of samples."""

from __future__ import annotations

import io

from PIL import Image

from ssvq.data.errors import DataFileError
from ssvq.data.transforms import PIXELS_MAX, read_image

from ..scratch import as_file
from ..target import Target, Tree, UnwritableError

_FORMATS = ("png", "jpeg", "bmp", "gif", "ppm", "tiff", "webp")
_PART = 8
_PIXEL_BYTES = 16
"""Of Pillow, for a pixel as it is decoded, in several colour spaces one after the other."""


def _bytes(image: Image.Image, format: str = "png") -> bytes:
    file = io.BytesIO()
    image.save(file, format)
    return file.getvalue()


def _seeds() -> list[bytes]:
    image = Image.frombytes("RGB", (5, 4), bytes(range(60)))
    palette = image.quantize(4)
    return [*(_bytes(image, format) for format in _FORMATS), _bytes(palette), _bytes(palette, "gif")]


def _together(tree: Tree) -> bytes:
    if not isinstance(tree, list):
        raise UnwritableError("an image is a list of parts")
    return b"".join(part for part in tree if isinstance(part, bytes))


TARGET = Target(
    name="image",
    seeds=_seeds,
    errors=(DataFileError,),
    read=lambda data: read_image(as_file(data, "image")),
    write=_bytes,
    apart=lambda data: [data[start : start + _PART] for start in range(0, len(data), _PART)],
    together=_together,
    spare_bytes=_PIXEL_BYTES * PIXELS_MAX,
)
