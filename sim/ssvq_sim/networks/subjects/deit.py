"""A DeiT-tiny of seeded weights and one image."""

from __future__ import annotations

import torch

from ssvq.models.vision_transformer import deit_tiny
from ssvq.network import graph_of
from ssvq_gen.config import PRESETS

from ..metrics import COSINE
from ..subject import INT8, Case, Part, Sample, Subject, ssvq

SEED = 0
RATES = (1, 2, 4, 8)


def subjects(*, quick: bool) -> list[Subject]:
    """One; nothing is on the host but the argmax of its logits."""
    torch.manual_seed(SEED)
    model, image = deit_tiny().eval(), torch.randn(1, 3, 224, 224)
    part = Part(graph=graph_of(model, (image,)), samples=(Sample(inputs=(image,)),), calibration=((image,),))
    simulated, rates = (0, RATES[-1:]) if quick else (1, RATES)
    cases = [Case(config=PRESETS["base"], weights=own, rates=rates, simulated=simulated) for own in (INT8, ssvq(16, 8))]
    return [Subject(name="deit_tiny", parts=(part,), metrics=(COSINE,), cases=tuple(cases))]
