"""Whether tensors and images have the shapes that an operation needs, with room for their channels."""

from __future__ import annotations

from ssvq_gen.config import CoreConfig

from .activation_tensor import ActivationTensor
from .convolution_geometry import Band, ConvolutionGeometry
from .image_tensor import ImageTensor
from .layer_arithmetic import CompileError


def check_shape(config: CoreConfig, job: str, role: str, tensor: ActivationTensor, shape: tuple[int, int]) -> None:
    """Raise CompileError unless a tensor has these tokens and channels, and its tokens do not overlap."""
    found, words = (tensor.tokens, tensor.channels), tensor.token_words(config)
    if found != shape or tensor.tokens < 1:
        rule = f"{role} must be {shape[0]} tokens of {shape[1]} channels, not {found[0]} of {found[1]}"
        raise CompileError(job, rule)
    if tensor.stride < words and tensor.tokens > 1:
        rule = f"{role} has a stride of {tensor.stride} words, its tokens have {words}"
        raise CompileError(job, rule)


def band_of(
    config: CoreConfig,
    job: str,
    geometry: ConvolutionGeometry,
    source: tuple[ImageTensor, int],
    target: tuple[ImageTensor, int],
    band: Band | None,
) -> tuple[Band, ActivationTensor]:
    """A band of the output, by default all of it, and where it is; images come with the channels they must have.

    Raises CompileError for images or a band that the windows do not fit.
    """
    height, width = _image_size(config, job, geometry, source, target)
    part = band if band is not None else Band(y=0, x=0, height=height, width=width)
    if not (0 <= part.y < part.y + part.height <= height and 0 <= part.x < part.x + part.width <= width):
        raise CompileError(job, f"its output of {height} x {width} pixels has no {part}")
    try:
        return part, target[0].pixels(part.y, part.x, part.height, part.width)
    except ValueError as error:
        raise CompileError(job, f"target: {error}") from error


def _image_size(
    config: CoreConfig,
    job: str,
    geometry: ConvolutionGeometry,
    source: tuple[ImageTensor, int],
    target: tuple[ImageTensor, int],
) -> tuple[int, int]:
    """Height and width of the output."""
    try:
        size = geometry.output_size(source[0].height, source[0].width)
    except ValueError as error:
        raise CompileError(job, f"source: {error}") from error
    for role, image, shape in (
        ("source", source[0], (source[0].height, source[0].width, source[1])),
        ("target", target[0], (*size, target[1])),
    ):
        found = image.height, image.width, image.channels
        if found != shape:
            sizes = [f"{height} x {width} pixels of {channels} channels" for height, width, channels in (shape, found)]
            raise CompileError(job, f"{role} must be {sizes[0]}, not {sizes[1]}")
        words = -(-image.channels // config.word_bytes)
        if image.stride < words and image.width > 1:
            rule = f"{role} has a stride of {image.stride} words, its pixels have {words}"
            raise CompileError(job, rule)
    return size
