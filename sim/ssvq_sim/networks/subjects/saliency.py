"""The encoder of the ViT-S saliency model, and one of its blocks alone with the input that it has in the model."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor, nn

from ssvq.models.packages import package_file
from ssvq.models.saliency import Saliency, load_saliency, prepare_image
from ssvq.network import graph_of
from ssvq_gen.config import PRESETS

from ..metrics import COSINE
from ..subject import INT8, Case, Part, Sample, Subject, ssvq

PHOTOS, CALIBRATION = 2, 4
CORE = PRESETS["base"].replace(name="base_vit_s", activation_bytes=1 << 20, accumulator_depth=512)
"""`base` with room for 257 activations of 1536 channels beside the residual, and for as many accumulators."""


class Encoder(nn.Module):
    """All but the decoder: images (1, 3, 224, 224) to the states of the patches and the class token (1, 257, 384)."""

    def __init__(self, model: Saliency) -> None:
        super().__init__()
        self.backbone = model.backbone

    def forward(self, images: Tensor) -> Tensor:
        """(1, 3, 224, 224) to (1, 257, 384)."""
        x = self.backbone["embeddings"](images)
        for layer in self.backbone["encoder"].get_submodule("layer").children():
            x = layer(x)
        states: Tensor = self.backbone["layernorm"](x)
        return states


def subjects(*, quick: bool) -> list[Subject]:
    """The encoder on the golden model, and its first block on the simulated core."""
    model = load_saliency()
    count = 1 if quick else PHOTOS
    images = _photos(PHOTOS + CALIBRATION)
    samples, others = images[:count], images[PHOTOS:]
    encoder = Encoder(model).eval()
    cases = [
        Case(config=CORE, weights=weights, rates=(8,), simulated=0, weighted=weighted)
        for weights, weighted in [(INT8, False), (ssvq(16, 8), True), (ssvq(256, 4), True)][: 1 if quick else None]
    ]
    whole = Part(
        graph=graph_of(encoder, (images[0],)),
        samples=tuple(Sample(inputs=(image,)) for image in samples),
        calibration=tuple((image,) for image in others),
    )
    found = [Subject(name="vit_s_saliency encoder", parts=(whole,), metrics=(COSINE,), cases=tuple(cases))]
    return found if quick else [*found, _block(model, samples[0], others)]


@torch.no_grad()
def _block(model: Saliency, image: Tensor, others: list[Tensor]) -> Subject:
    block = model.get_submodule("backbone.encoder.layer.0").eval()
    inputs, *calibration = (model.get_submodule("backbone.embeddings")(one) for one in (image, *others))
    part = Part(
        graph=graph_of(block, (inputs,)),
        samples=(Sample(inputs=(inputs,)),),
        calibration=tuple((one,) for one in calibration),
    )
    cases = [Case(config=CORE, weights=weights, rates=(8,), simulated=1) for weights in (INT8, ssvq(16, 8))]
    return Subject(name="vit_s_saliency block 0", parts=(part,), metrics=(COSINE,), cases=tuple(cases))


def _photos(count: int) -> list[Tensor]:
    """The first photos of foolbox's package, each (1, 3, 224, 224). Raises MissingPackageError."""
    found = []
    for file in sorted(package_file("foolbox", "foolbox", "data").glob("imagenet_*.jpg"))[:count]:
        with Image.open(file) as image:
            found.append(prepare_image(image)[None])
    return found
