"""EfficientNet-Lite0 on the labelled photos of the packages."""

from __future__ import annotations

from ssvq.models.efficientnet import load_efficientnet_lite0, sample_photos
from ssvq.network import graph_of
from ssvq_gen.config import PRESETS

from ..metrics import AGREEMENT, DIVERGENCE, TOP_ONE
from ..subject import INT8, Case, Part, Sample, Subject, ssvq

PHOTOS, CALIBRATION, SIMULATED = 20, 8, 2
"""Ranges are from some of the photos themselves, without their labels: the packages have no others like them."""


def subjects(*, quick: bool) -> list[Subject]:
    """One. Depthwise convolutions and the first one have int8 weights in all formats."""
    images, labels = sample_photos(2 if quick else PHOTOS)
    samples = [Sample(inputs=(image[None],), label=label) for image, label in zip(images, labels, strict=True)]
    part = Part(
        graph=graph_of(load_efficientnet_lite0(), (images[:1],)),
        samples=tuple(samples[:1] if quick else samples),
        calibration=tuple(sample.inputs for sample in samples[-CALIBRATION:]),
    )
    rows = [(INT8, SIMULATED), (ssvq(256, 8), SIMULATED), (ssvq(256, 4), 0), (ssvq(256, 2), 0)]
    cases = [
        Case(
            config=PRESETS["base"],
            weights=weights,
            rates=(8,),
            simulated=0 if quick else simulated,
            weighted=weights is not INT8,
        )
        for weights, simulated in (rows[:1] if quick else rows)
    ]
    metrics = (TOP_ONE, AGREEMENT, DIVERGENCE)
    return [Subject(name="efficientnet_lite0", parts=(part,), metrics=metrics, cases=tuple(cases))]
