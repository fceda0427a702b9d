"""Movement, functions and pools of images, and what of images the core does not do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from convolutional_networks import LARGE, SMALL, compiled, lowered, require_near, samples_of, seeded
from test_network_lowering import run_program
from torch import Tensor, nn
from torch.nn import functional

from ssvq.network import GraphError
from ssvq.network.integer.integer_network import ImageStep, LinearStep, VectorStep


def test_parts_of_a_concatenation_are_computed_in_their_place() -> None:
    class Fire(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList([nn.Conv2d(8, 8, 1), nn.Conv2d(8, 16, 3, padding=1)])

        def forward(self, x: Tensor) -> Tensor:
            """Two layers of the same image, one after the other's channels."""
            x = torch.relu(x)
            return torch.cat([torch.relu(part(x)) for part in self.parts] + [x, x], dim=1)

    samples = samples_of((1, 8, 5, 4))
    model = seeded(Fire)
    made = compiled(model, samples, SMALL)
    assert [type(step) for step in made.network.steps] == [VectorStep, LinearStep, ImageStep, VectorStep, VectorStep]
    assert [step.target.channel for step in made.network.steps[1:]] == [0, 8, 24, 32]
    run_program(made, samples[0], SMALL)
    require_near(made.network, model, samples[0])


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._function, self.conv = function, nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Of a convolution's result."""
        return self._function(self.conv(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.flatten(2).transpose(1, 2).mean(1),
        lambda x: x.mean(2),
        lambda x: x.flatten(2).softmax(1),
        lambda x: x.amax((2, 3)),
        lambda x: torch.relu(x - torch.arange(8).view(8, 1, 1) / 8),
        lambda x: x * torch.linspace(-1, 1, 8).view(8, 1, 1),
        lambda x: x * -0.5,
        lambda x: x + torch.linspace(-1, 1, 30).view(6, 5),
        lambda x: torch.cat([x, x], dim=2),
        lambda x: functional.hardswish(x.mean((2, 3))),
        lambda x: functional.max_pool2d(x[:, :, 1:], 2),
        lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)),
        lambda x: x.mean((2, 3), keepdim=True) + x,
    ],
)
def test_functions_of_images(function: Callable[[Tensor], Tensor]) -> None:
    model, samples = seeded(lambda: Function(function)), samples_of((1, 8, 6, 5))
    made = compiled(model, samples, SMALL)
    run_program(made, samples[0], SMALL)
    require_near(made.network, model, samples[0], cosine=0.998)


def test_the_largest_pixels_are_exact() -> None:
    samples = samples_of((1, 8, 6, 6))
    network = lowered(seeded(lambda: nn.MaxPool2d(3, 2, 1)), samples)
    (own,) = network.inputs
    given = network.quantize_inputs(samples[0][0].numpy())
    real = network.tensors[own.tensor].scale.dequantize(given[own.tensor]).reshape(1, 6, 6, 8).transpose(0, 3, 1, 2)
    expected = functional.max_pool2d(torch.from_numpy(real), 3, 2, 1)
    assert (network.output(network.run(given), "output") == expected.numpy()).all()


@pytest.mark.parametrize("model", [nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.MaxPool2d(2)])
def test_several_images_are_refused(model: nn.Module) -> None:
    channels = model.in_channels if isinstance(model, nn.Conv2d) else 8
    with pytest.raises(GraphError, match="there must be one image at a time, not 2"):
        compiled(model.eval(), samples_of((2, channels, 6, 6), 1), LARGE)


REFUSED: list[tuple[Callable[[], nn.Module], str]] = [
    (lambda: nn.Conv2d(8, 8, 3, stride=8), "stride must be at most 7"),
    (lambda: nn.Conv2d(8, 8, 2, dilation=16), "dilation must be at most 15"),
    (lambda: nn.Conv2d(8, 8, (1, 17)), "a kernel must have at most 15 columns, not 17"),
    (lambda: nn.Conv2d(8, 16, 3, groups=2), "the inputs and outputs of a group must begin with a memory word"),
    (lambda: nn.Conv2d(8, 8, 9, groups=8), "at most 8 rows and columns, not 9 x 9"),
    (lambda: nn.ConvTranspose2d(8, 8, 3, 2), "columns must be a multiple of the stride 2, not 49"),
    (lambda: nn.ConvTranspose2d(8, 8, 2, 3), "the kernel must be at least as long as the stride"),
    (lambda: nn.ConvTranspose2d(8, 8, 3, 1, 3), "padding less than what it adds"),
    (lambda: nn.ConvTranspose2d(8, 8, 2, 2, groups=2), "without groups and dilation"),
    (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), "all windows have one divisor"),
    (lambda: nn.AvgPool2d(24), "a window must have at most"),
    (lambda: Function(lambda x: x.mean(1)), "a mean must be over activations, not over channels"),
    (lambda: Function(lambda x: x * x[:, :1]), "must be activations of channels as they are stored"),
    (lambda: Function(lambda x: x * x[:, :, :1]), "must be activations of channels as they are stored"),
    (lambda: Function(lambda x: torch.cat([x[:, :4], x], dim=1)), "each part of a concatenation must begin with a"),
    (lambda: Function(lambda x: x.flatten(1)), "Reshape does not keep activations and channels apart"),
]


@pytest.mark.parametrize(("make", "rule"), REFUSED)
def test_what_the_core_does_not_do_is_named(make: Callable[[], nn.Module], rule: str) -> None:
    model = nn.Sequential(nn.ReLU(), seeded(make)).eval()
    with pytest.raises(GraphError, match=rule):
        compiled(model, samples_of((1, 8, 24, 24), 1), LARGE)
