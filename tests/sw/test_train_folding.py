"""A batch norm inside of the layer before it: the same values, or an error where the layer could not give them."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ssvq.models.efficientnet import SameConv2d
from ssvq.quantize.rules import Layer
from ssvq.train.folding import folded

PAIRS = {
    "linear": (nn.Linear(6, 4), nn.BatchNorm1d(4), (5, 6)),
    "conv2d": (nn.Conv2d(6, 4, (3, 2), stride=2, dilation=2), nn.BatchNorm2d(4, affine=False), (5, 6, 9, 8)),
    "transposed": (nn.ConvTranspose2d(6, 4, 3, groups=2), nn.BatchNorm2d(4), (5, 6, 3, 4)),
    "same padding, even": (SameConv2d(6, 4, 3, stride=2), nn.BatchNorm2d(4), (5, 6, 8, 8)),
    "same padding, depthwise": (SameConv2d(4, 4, 5, groups=4), nn.BatchNorm2d(4), (5, 4, 7, 6)),
}


class WithoutBias(nn.Conv2d):
    """A convolution whose `forward` was written for models that give it no bias."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight, None, self.stride)


def moved(norm: nn.Module) -> nn.Module:
    """The norm in evaluation mode, with statistics and gains as after training."""
    torch.manual_seed(1)
    for tensor in (*norm.parameters(), *norm.buffers()):
        if tensor.is_floating_point():
            tensor.detach().uniform_(0.5, 2.0)
    return norm.eval()


@pytest.mark.parametrize("name", PAIRS)
def test_one_layer_gives_what_both_gave(name: str) -> None:
    layer, norm, shape = PAIRS[name]
    assert isinstance(layer, Layer)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        wanted = moved(norm)(layer(x))
        before = layer.weight.clone()
        torch.testing.assert_close(folded(layer, norm)(x), wanted, rtol=1e-5, atol=1e-5)
    assert torch.equal(layer.weight, before)


def test_a_layer_that_adds_no_bias_is_refused() -> None:
    layer = WithoutBias(3, 4, 3, bias=False)
    with pytest.raises(ValueError, match="a layer must add its bias to take in a batch norm, and WithoutBias does not"):
        folded(layer, moved(nn.BatchNorm2d(4)))
