"""What a compressed layer is apart from its tensors, and how its weights are laid out.

Every format is laid out alike. A weight of shape (N, K) of a linear layer, or (N, K, kh, kw) of a convolution (K is the
input channels of one group), becomes rows (N, P, K) with P = kh * kw kernel positions (1 for a linear layer). For the
formats with a codebook, K is padded up to a multiple of the vector dimension d, Kpad, and every d consecutive input
channels at one kernel position form a subvector.

That shape, with N output channels first, is the *canonical* one. Only PyTorch's transposed convolutions have another,
(groups * K, N / groups, kh, kw); `canonical_weight` and `from_canonical` convert. A kernel is never flipped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ssvq.quantize.formats import FORMAT_SIZES, WeightFormat, require_int, require_parts

LayerKind = Literal["linear", "conv2d", "conv_transpose2d"]

DIMENSION_MAX = 2**31 - 1
_GEOMETRY_LEAST = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "output_padding": 0}
NAME_LENGTH_MAX = 1024


class LayerError(ValueError):
    """A part of a compressed layer breaks a rule. `field` names the part."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field
        self.problem = problem


def to_rows(weight: Tensor) -> Tensor:
    """Weight (N, K) or (N, K, kh, kw) as rows (N, P, K)."""
    if weight.ndim == 2:
        return weight[:, None, :]
    return weight.flatten(2).transpose(1, 2)


def from_rows(rows: Tensor, weight_shape: tuple[int, ...]) -> Tensor:
    """Inverse of `to_rows`."""
    if len(weight_shape) == 2:
        return rows[:, 0, :].contiguous()
    return rows.transpose(1, 2).reshape(weight_shape).contiguous()


def canonical_weight(weight: Tensor, kind: LayerKind, groups: int = 1) -> Tensor:
    """A module's weight in the canonical shape; a view.

    Args:
        weight: (N, K), (N, K, kh, kw), or (groups * K, N / groups, kh, kw) of a transposed convolution.
        kind: of the layer.
        groups: of a convolution.

    Raises:
        ValueError: the weight has no such shape.
    """
    return _swap_channels(weight, groups) if kind == "conv_transpose2d" else weight


def from_canonical(weight: Tensor, kind: LayerKind, groups: int = 1) -> Tensor:
    """Inverse of `canonical_weight`: a weight as the layer's module has it; a view.

    Raises:
        ValueError: the weight has not the shape of such a layer.
    """
    return _swap_channels(weight, groups) if kind == "conv_transpose2d" else weight


def _swap_channels(weight: Tensor, groups: int) -> Tensor:
    """(groups * a, b, kh, kw) as (groups * b, a, kh, kw), group by group."""
    if weight.ndim != 4 or groups < 1 or weight.shape[0] % groups:
        raise ValueError(
            f"weight must have 4 dimensions, the first a multiple of the {groups} groups, not {tuple(weight.shape)}"
        )
    return weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1)


def padded(channels: int, vector_dim: int) -> int:
    """Kpad: `channels` rounded up to a multiple of `vector_dim`."""
    return -(-channels // vector_dim) * vector_dim


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerDescription:
    """Everything about a compressed layer but its tensors. Checked when made; raises `LayerError`.

    Attributes:
        name: the layer's name in its model, printable and at most 1024 characters.
        kind: "linear", "conv2d" or "conv_transpose2d".
        format: representation of the weights.
        weight_shape: canonical, (N, K) or (N, K, kh, kw).
        codebook_size, vector_dim: k and d of formats with a codebook, else None.
        keep, group: `keep` of every `group` consecutive input channels are not zero in MVQ; None in other formats.
        stride, padding, dilation, groups: of a convolution, the same in both directions; 1, 0, 1, 1 for a linear layer.
        output_padding: of a transposed convolution, the same in both directions; 0 for other layers.
    """

    name: str
    kind: LayerKind
    format: WeightFormat
    weight_shape: tuple[int, ...]
    codebook_size: int | None = None
    vector_dim: int | None = None
    keep: int | None = None
    group: int | None = None
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    output_padding: int = 0

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and 0 < len(self.name) <= NAME_LENGTH_MAX and self.name.isprintable()):
            raise LayerError("name", f"must be 1..{NAME_LENGTH_MAX} printable characters, not {str(self.name)[:80]!r}")
        if not isinstance(self.format, WeightFormat):
            raise LayerError("format", f"must be a WeightFormat, not {self.format!r}")
        if self.kind not in get_args(LayerKind):
            known = ", ".join(repr(kind) for kind in get_args(LayerKind))
            raise LayerError("kind", f"must be one of {known}, not {self.kind!r}")
        dimensions = 2 if self.kind == "linear" else 4
        if not isinstance(self.weight_shape, tuple) or len(self.weight_shape) != dimensions:
            raise LayerError("weight_shape", f"must be {dimensions} sizes for a {self.kind}, not {self.weight_shape!r}")
        try:
            for size in self.weight_shape:
                require_int("weight_shape", size, 1, DIMENSION_MAX)
            for field, least in _GEOMETRY_LEAST.items():
                require_int(field, getattr(self, field), least, DIMENSION_MAX)
            require_parts(self.format, {name: getattr(self, name) for name in FORMAT_SIZES})
        except (TypeError, ValueError) as error:
            field, _, problem = str(error).partition(" ")
            raise LayerError(field, problem) from None
        self._check_geometry()

    def _check_geometry(self) -> None:
        if self.weight_shape[0] % self.groups:
            raise LayerError("groups", f"must divide the {self.weight_shape[0]} output channels, not {self.groups}")
        if self.kind == "linear" and (self.stride, self.padding, self.dilation, self.groups) != (1, 0, 1, 1):
            raise LayerError("stride, padding, dilation, groups", "must be 1, 0, 1, 1 for a linear layer")
        if self.output_padding and self.kind != "conv_transpose2d":
            raise LayerError("output_padding", f"must be 0 for a {self.kind}, not {self.output_padding}")
        if self.output_padding >= max(self.stride, self.dilation):
            raise LayerError("output_padding", f"must be below stride or dilation, not {self.output_padding}")

    @property
    def weight_count(self) -> int:
        """Number of weights, without padding."""
        return math.prod(self.weight_shape)

    @property
    def pattern(self) -> tuple[int, int] | None:
        """(keep, group) of MVQ, None for the other formats."""
        return None if self.keep is None or self.group is None else (self.keep, self.group)

    def weight_tensors(self) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
        """dtype and shape of each tensor that the format requires, other than scale and bias."""
        rows, channels, *kernel = self.weight_shape
        positions = math.prod(kernel)
        if self.codebook_size is None or self.vector_dim is None:
            if self.format is WeightFormat.FLOAT:
                return {"weight_float": (torch.float32, self.weight_shape)}
            return {"weight_int8": (torch.int8, (rows, positions, channels))}
        width = padded(channels, self.vector_dim)
        shapes: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {
            "codebook": (torch.int8, (self.codebook_size, self.vector_dim)),
            "indices": (torch.int16, (rows, positions, width // self.vector_dim)),
        }
        if self.format is WeightFormat.SSVQ:
            shapes["signs"] = (torch.bool, (rows, positions, width))
        if self.format is WeightFormat.MVQ:
            shapes["mask"] = (torch.bool, (rows, positions, width))
        return shapes
