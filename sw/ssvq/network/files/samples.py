"""Inputs of a network from files, or from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from torch import Tensor

from ssvq.network import operators as ops
from ssvq.network.files.tree_codec import Array
from ssvq.network.graph import Graph
from ssvq.network.tensor_type import TensorType, short

Sample = tuple[Tensor, ...]
"""One input after the other, in the order of the model's arguments."""
_HEADER_START = 12
"""Bytes of a `.npy` file up to its header: 6 of magic, 2 of version, 2 or 4 of the header's length."""
IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".gif"))


def read_samples(path: Path, inputs: Mapping[str, TensorType], preparation: str) -> list[Sample]:
    """The samples of a `.npy` file (one input), a `.safetensors` file (by input), an image or a folder of images.

    Arrays have the shape of an input, or as many samples in a row along its first axis.

    Raises:
        ValueError: another file, shape or type, numbers that are not finite; the text names the file and the input.
        OSError: the file cannot be read.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_dir():
        images = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
        if not images:
            raise ValueError(f"{path} must have at least one image ({', '.join(sorted(IMAGE_SUFFIXES))})")
        return [_image(image, inputs, preparation) for image in images]
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return [_image(path, inputs, preparation)]
    parts = [_split(path, name, array, inputs[name]) for name, array in _arrays(path, inputs).items()]
    if len({len(part) for part in parts}) != 1:
        raise ValueError(f"{path}: all inputs must have as many samples, not {', '.join(str(len(p)) for p in parts)}")
    return list(zip(*parts, strict=True))


def _image(path: Path, inputs: Mapping[str, TensorType], preparation: str) -> Sample:
    from ssvq.data.preparation import prepared  # needs pillow, of the extra `models`

    if len(inputs) != 1:
        raise ValueError(f"{path}: a network of {len(inputs)} inputs takes .safetensors files, no images")
    (wanted,) = inputs.values()
    return (prepared(path, preparation, wanted.shape),)


def _arrays(path: Path, inputs: Mapping[str, TensorType]) -> dict[str, Array]:
    """By input, in their order."""
    try:
        if path.suffix == ".npy":
            if len(inputs) != 1:
                names = ", ".join(inputs)
                raise ValueError(f"it has one array, and there are {len(inputs)} inputs ({names}): give .safetensors")
            _require_header(path)
            # where the file is, as what its header says may need any memory
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            if not isinstance(array, np.ndarray):
                raise ValueError("it must have one array, not an archive of several")
            return {next(iter(inputs)): array}
        if path.suffix != ".safetensors":
            raise ValueError("inputs must be a .npy or .safetensors file, an image or a folder of images")
        found = safetensors.numpy.load(path.read_bytes())
        if set(found) != set(inputs):
            raise ValueError(f"its arrays must be {', '.join(inputs)}, not {', '.join(sorted(found)) or 'none'}")
        return {name: found[name] for name in inputs}
    except OSError:
        raise
    except Exception as error:  # NumPy's header is a Python literal, whose parser has errors of all kinds
        raise ValueError(f"{path}: {error or type(error).__name__}") from error


def _require_header(path: Path) -> None:
    """Raises ValueError where a header is said to be longer than the file: NumPy makes room for it before it reads."""
    with path.open("rb") as file:
        start = file.read(_HEADER_START)
    width = 2 if start[6:7] == b"\1" else 4
    length = int.from_bytes(start[8 : 8 + width], "little")
    if length > path.stat().st_size:
        raise ValueError(f"its header must be within the {path.stat().st_size} bytes of the file, not {length} long")


def _split(path: Path, name: str, array: Array, wanted: TensorType) -> list[Tensor]:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{path}: {name} must be finite, {int((~np.isfinite(array)).sum())} numbers are not")
    is_float = wanted.dtype is torch.float32
    if array.dtype.kind not in ("f" if is_float else "iub"):
        raise ValueError(f"{path}: {name} must be {short(wanted.dtype)}, not {array.dtype}")
    batch, *rest = wanted.shape or (1,)
    if array.ndim == len(rest) and batch == 1:
        array = array[None]
    if array.shape[1:] != tuple(rest) or array.ndim == 0 or array.shape[0] == 0 or array.shape[0] % batch:
        raise ValueError(f"{path}: {name} must have the shape {wanted.shape}, or samples of it, not {array.shape}")
    tensor = _converted(np.array(array), wanted.dtype)
    if tensor is None:
        raise ValueError(
            f"{path}: {name} must have numbers that {short(wanted.dtype)} has, not {array.dtype}'s largest"
        )
    return list(tensor.reshape(-1, *wanted.shape).unbind())


def _converted(array: Array, dtype: torch.dtype) -> Tensor | None:
    """Numbers as a tensor; None where one is too large for its type."""
    kind = np.dtype(short(dtype))
    if kind.kind == "i" and array.dtype.kind != "b":
        limits = np.iinfo(kind)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            return None
    with np.errstate(over="ignore"):
        converted = array.astype(kind)
    return torch.from_numpy(converted) if kind.kind != "f" or np.isfinite(converted).all() else None


def noise(graph: Graph, count: int, seed: int) -> list[Sample]:
    """Samples from a seed: normal numbers; ids that the graph looks up, below the table's length; other integers 1."""
    generator = torch.Generator().manual_seed(seed)
    rows = {
        node.operands[0]: graph.type_of(node.operands[1]).shape[0]
        for node in graph.nodes
        if isinstance(node.operator, ops.Embedding)
    }

    def values(name: str, wanted: TensorType) -> Tensor:
        if wanted.dtype is torch.float32:
            return torch.randn(wanted.shape, generator=generator)
        if name in rows:
            return torch.randint(rows[name], wanted.shape, generator=generator).to(wanted.dtype)
        return torch.ones(wanted.shape, dtype=wanted.dtype)

    return [tuple(values(name, wanted) for name, wanted in graph.inputs.items()) for _ in range(count)]
