"""Small models and configurations for the tests of `ssvq.train`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.quantize.rules import Rule
from ssvq.train.activations import ActivationConfig
from ssvq.train.prepare import TrainConfig

SSVQ = QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=8, vector_dim=4)
VQ = QuantizeConfig(format=WeightFormat.VQ, codebook_size=8, vector_dim=4)
MVQ = QuantizeConfig(format=WeightFormat.MVQ, codebook_size=8, vector_dim=4, keep=2, group=4)
INT8 = QuantizeConfig(format=WeightFormat.INT8)
INT4 = QuantizeConfig(format=WeightFormat.INT4, clip="mse")
INT2 = QuantizeConfig(format=WeightFormat.INT2, clip="mse")
FORMATS = [SSVQ, VQ, MVQ, INT8, INT4, INT2]


class Mixed(nn.Module):
    """Every kind of layer: grouped, depthwise and transposed convolutions, batch norms, clamps, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.grouped = nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=2)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(16)
        self.up = nn.ConvTranspose2d(16, 12, 3, stride=2, padding=1, output_padding=1, groups=2)
        self.head = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, 10)."""
        x = self.norm(self.stem(x)).relu()
        x = nn.functional.relu6(self.grouped(x))
        x = self.depthwise_norm(self.depthwise(x))
        logits: Tensor = self.head(self.up(x).mean((2, 3)))
        return logits


LAYER_NAMES = ("stem", "grouped", "depthwise", "up", "head")


def mixed(seed: int = 0) -> Mixed:
    """A `Mixed` in evaluation mode whose batch norms do something."""
    torch.manual_seed(seed)
    model = Mixed()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.get_buffer("running_mean"))
            nn.init.uniform_(module.get_buffer("running_var"), 0.5, 2.0)
    return model.eval()


def images(count: int = 4, seed: int = 1) -> Tensor:
    """float32 (count, 3, 8, 8)."""
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def rules(
    weights: QuantizeConfig, *, activations: ActivationConfig | None = None, **settings: object
) -> list[Rule[TrainConfig]]:
    """One rule for all layers, some of which have padding; activations in floating point unless given."""
    config = TrainConfig(weights=weights, activations=activations, pad=True, **settings)  # type: ignore[arg-type]
    return [Rule(pattern="*", config=config)]
