"""Sizes of the matrix products that are measured: DeiT-tiny's 74 in order, and two matrix-vector layers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ssvq_gen.config import CoreConfig


class Kind(StrEnum):
    """Where the second operand of a product comes from."""

    WEIGHTS = "weights"
    SCORES = "scores"
    """Q K^T: both operands are activations, the second is transposed."""
    VALUES = "values"
    """A V: both operands are activations."""


@dataclass(frozen=True, kw_only=True)
class ProductShape:
    """(tokens, in_channels) times (in_channels, out_channels), once for each of `heads`."""

    name: str
    kind: Kind = Kind.WEIGHTS
    tokens: int
    in_channels: int
    out_channels: int
    heads: int = 1

    def __post_init__(self) -> None:
        sizes = (self.tokens, self.in_channels, self.out_channels, self.heads)
        if min(sizes) < 1:
            raise ValueError(f"sizes of product {self.name!r} must be at least 1, not {sizes}")

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates."""
        return self.heads * self.tokens * self.in_channels * self.out_channels

    def compute_cycles(self, config: CoreConfig) -> int:
        """Cycles in which an activation enters the array: what ragged edges of tiles cost is in it."""
        k_tiles, n_tiles = -(-self.in_channels // config.rows), -(-self.out_channels // config.cols)
        return self.heads * self.tokens * k_tiles * n_tiles


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """Sizes of a vision transformer; those of DeiT-tiny unless given.

    patches, patch_channels : tokens of an image, and values of each; a class token is added to them
    width, mlp : channels between the blocks, and inside the MLP
    """

    patches: int = 196
    patch_channels: int = 768
    width: int = 192
    heads: int = 3
    mlp: int = 768
    blocks: int = 12
    classes: int = 1000

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, not {self.width} and {self.heads}")

    @property
    def tokens(self) -> int:
        """Patches and the class token."""
        return self.patches + 1

    @property
    def head_width(self) -> int:
        """Channels of one head."""
        return self.width // self.heads

    @property
    def patch(self) -> ProductShape:
        """Patch embedding."""
        return ProductShape(name="patch", tokens=self.patches, in_channels=self.patch_channels, out_channels=self.width)

    @property
    def block(self) -> tuple[ProductShape, ...]:
        """Products of a block, in order."""
        t, w = self.tokens, self.width
        scores = ProductShape(
            name="scores", kind=Kind.SCORES, tokens=t, in_channels=self.head_width, out_channels=t, heads=self.heads
        )
        values = ProductShape(
            name="values", kind=Kind.VALUES, tokens=t, in_channels=t, out_channels=self.head_width, heads=self.heads
        )
        return (
            ProductShape(name="qkv", tokens=t, in_channels=w, out_channels=3 * w),
            scores,
            values,
            ProductShape(name="proj", tokens=t, in_channels=w, out_channels=w),
            ProductShape(name="fc1", tokens=t, in_channels=w, out_channels=self.mlp),
            ProductShape(name="fc2", tokens=t, in_channels=self.mlp, out_channels=w),
        )

    @property
    def head(self) -> ProductShape:
        """Classifier, on the class token."""
        return ProductShape(name="head", tokens=1, in_channels=self.width, out_channels=self.classes)

    @property
    def distinct(self) -> tuple[ProductShape, ...]:
        """Every product of different size once."""
        return (self.patch, *self.block, self.head)

    @property
    def products(self) -> tuple[ProductShape, ...]:
        """All products in order; the heads of an attention are one product."""
        return (self.patch, *self.blocks * self.block, self.head)

    @property
    def image_bytes(self) -> int:
        """Bytes of an image whose patches fill whole words."""
        return self.patches * self.patch_channels


DEIT_TINY = Transformer()

GEMV = (
    ProductShape(name="384x1536", tokens=1, in_channels=384, out_channels=1536),
    ProductShape(name="1536x384", tokens=1, in_channels=1536, out_channels=384),
)
"""MiniLM's MLP, input channels x output channels, for one token."""
