"""Vision transformers with the module names, and so the checkpoints, of timm's: ViT and DeiT without distillation.

Pre-norm blocks, a class token in front, learned positions, exact GELU, LayerNorm with an epsilon of 1e-6. Sizes of
DeiT: Touvron et al., "Training data-efficient image transformers & distillation through attention", 2021.
"""

from __future__ import annotations

from torch import Tensor, cat, nn, zeros
from torch.nn import functional

NORM_EPSILON = 1e-6
DEVIATION = 0.02
"""Of the truncated normal that weights of linear layers and positions start from."""


class PatchEmbed(nn.Module):
    """Non-overlapping patches to tokens: (B, C, H, W) to (B, H * W / patch_size^2, width), row-major."""

    def __init__(self, in_channels: int, patch_size: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, width, patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, T, width)."""
        patches: Tensor = self.proj(images)
        return patches.flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention, scaled by the root of a head's width. The outputs of `qkv` are ordered (3, heads)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width) to the same shape."""
        query, key, value = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return projected


class Mlp(nn.Module):
    """Two linear layers with a GELU between them: (B, T, width) to the same shape."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width) to the same shape."""
        output: Tensor = self.fc2(self.act(self.fc1(x)))
        return output


class Block(nn.Module):
    """Attention and MLP, each after a norm and around a residual: (B, T, width) to the same shape."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.mlp = Mlp(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width) to the same shape."""
        x = x + self.attn(self.norm1(x))
        output: Tensor = x + self.mlp(self.norm2(x))
        return output


class VisionTransformer(nn.Module):
    """Images (B, in_channels, image_size, image_size) to logits (B, classes), read from the class token.

    A new model's weights come from torch's global random generator.

    Args:
        image_size: pixels of a side; a multiple of patch_size.
        patch_size: pixels of a patch's side.
        in_channels: colours of a pixel.
        width: of a token; a multiple of heads.
        depth: number of blocks.
        heads: attention heads.
        mlp_ratio: hidden width of the MLPs divided by width.
        classes: number of logits.

    Raises:
        ValueError: a number is not positive or not a multiple as said.
    """

    def __init__(
        self,
        *,
        image_size: int,
        patch_size: int,
        in_channels: int,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: float,
        classes: int,
    ) -> None:
        super().__init__()
        sizes = {"image_size": image_size, "patch_size": patch_size, "in_channels": in_channels, "width": width}
        for name, value in {**sizes, "depth": depth, "heads": heads, "classes": classes}.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive integer, not {value!r}")
        if image_size % patch_size:
            raise ValueError(f"image_size must be a multiple of patch_size {patch_size}, not {image_size}")
        if width % heads:
            raise ValueError(f"width must be a multiple of heads {heads}, not {width}")
        if not mlp_ratio > 0:
            raise ValueError(f"mlp_ratio must be positive, not {mlp_ratio!r}")
        self.patch_embed = PatchEmbed(in_channels, patch_size, width)
        self.cls_token = nn.Parameter(zeros(1, 1, width))
        self.pos_embed = nn.Parameter(zeros(1, (image_size // patch_size) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads, int(width * mlp_ratio)) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.head = nn.Linear(width, classes)
        self._initialise()

    def _initialise(self) -> None:
        nn.init.trunc_normal_(self.pos_embed, std=DEVIATION)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=DEVIATION)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, in_channels, image_size, image_size) to logits (B, classes)."""
        patches = self.patch_embed(images)
        x = cat((self.cls_token.expand(len(patches), -1, -1), patches), 1) + self.pos_embed
        logits: Tensor = self.head(self.norm(self.blocks(x))[:, 0])
        return logits


def deit_tiny(*, classes: int = 1000) -> VisionTransformer:
    """timm's `deit_tiny_patch16_224`, untrained: 5,717,416 parameters with 1000 classes; images (B, 3, 224, 224)."""
    return VisionTransformer(
        image_size=224, patch_size=16, in_channels=3, width=192, depth=12, heads=3, mlp_ratio=4, classes=classes
    )


def deit_small(*, classes: int = 1000) -> VisionTransformer:
    """timm's `deit_small_patch16_224`, untrained: 22,050,664 parameters with 1000 classes; images (B, 3, 224, 224)."""
    return VisionTransformer(
        image_size=224, patch_size=16, in_channels=3, width=384, depth=12, heads=6, mlp_ratio=4, classes=classes
    )


def fashion_vit(*, classes: int = 10) -> VisionTransformer:
    """A small transformer for images (B, 1, 28, 28), untrained: 455,050 parameters with 10 classes."""
    return VisionTransformer(
        image_size=28, patch_size=4, in_channels=1, width=96, depth=4, heads=3, mlp_ratio=4, classes=classes
    )
