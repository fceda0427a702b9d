"""Classifiers and saliency maps against labels and against each other, and running models for that."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ssvq.evaluate.classification import accuracy, agreement, divergence
from ssvq.evaluate.estimate import Estimate, mean_of
from ssvq.evaluate.run import evaluating, outputs
from ssvq.evaluate.saliency import overlap

LOGITS = torch.tensor([[3.0, 2.0, 1.0], [0.0, 5.0, 4.0], [1.0, 2.0, 0.0], [0.0, 1.0, 7.0]])


def test_estimate() -> None:
    estimate = mean_of(torch.tensor([True, False, True, True]))
    assert estimate.value == 0.75
    assert estimate.standard_error == pytest.approx(0.25)  # sqrt(0.75 / 3) / 2
    assert estimate.count == 4
    assert str(estimate) == "0.7500 +- 0.2500 (n=4)"
    alone = mean_of(torch.tensor([2.0]))
    assert alone.value == 2.0
    assert math.isnan(alone.standard_error)
    for wrong in (torch.tensor([]), torch.zeros(2, 2)):
        with pytest.raises(ValueError, match=r"samples must be \(N,\) with at least one, not"):
            mean_of(wrong)


def test_standard_error_is_that_of_the_mean() -> None:
    """Over many small samples, means spread as the estimates say."""
    samples = torch.rand(2000, 20, generator=torch.Generator().manual_seed(1))
    estimates = [mean_of(sample) for sample in samples]
    spread = torch.tensor([estimate.value for estimate in estimates]).std()
    assert sum(estimate.standard_error for estimate in estimates) / 2000 == pytest.approx(float(spread), rel=0.05)


def test_accuracy() -> None:
    labels = torch.tensor([0, 2, 0, 2])
    assert accuracy(LOGITS, labels).value == 0.5
    assert accuracy(LOGITS, labels, top=2).value == 1.0
    with pytest.raises(ValueError, match=r"top must be in 1\.\.3, not 4"):
        accuracy(LOGITS, labels, top=4)
    with pytest.raises(ValueError, match=r"labels must be \(N,\) for logits \(N, classes\), not \(3,\), \(4, 3\)"):
        accuracy(LOGITS, labels[:3])


def test_agreement_and_divergence() -> None:
    other = LOGITS[:, [0, 2, 1]]
    assert agreement(LOGITS, LOGITS + 7) == Estimate(value=1.0, standard_error=0.0, count=4)
    assert agreement(LOGITS, other).value == 0.25
    assert divergence(LOGITS, LOGITS + 7).value == pytest.approx(0, abs=1e-12)
    truth, said = other.double().softmax(1), LOGITS.double().softmax(1)
    expected = (truth * (truth / said).log()).sum(1)
    assert divergence(LOGITS, other).value == pytest.approx(float(expected.mean()))
    # the reference's probabilities are the weights: being sure of the wrong thing is worse than being unsure
    sure, unsure = torch.tensor([[9.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    assert divergence(sure, unsure).value > divergence(unsure, sure).value
    for compare in (agreement, divergence):
        with pytest.raises(ValueError, match=r"logits must be \(N, classes\) for both, not \(4, 3\), \(4, 2\)"):
            compare(LOGITS, LOGITS[:, :2])


def test_saliency_maps() -> None:
    maps = torch.full((3, 1, 2, 4), -5.0)
    reference = maps.clone()
    maps[0, 0, 0, :3], reference[0, 0, 0, 1:] = 5.0, 5.0  # two of four in common
    maps[1, 0, 1] = 0.5  # nothing in common; the third has nothing at all
    estimate = overlap(maps, reference)
    assert estimate.value == pytest.approx((0.5 + 0.0 + 1.0) / 3)
    assert estimate.count == 3
    # 0.5 is an importance of 0.622
    assert overlap(maps, reference, threshold=0.63).value == pytest.approx((0.5 + 1.0 + 1.0) / 3)
    with pytest.raises(ValueError, match="threshold must be between 0 and 1, not 1"):
        overlap(maps, reference, threshold=1)
    with pytest.raises(ValueError, match=r"logits must be \(B, 1, H, W\) for both, not \(3, 1, 2, 4\), \(2, 1, 2, 4\)"):
        overlap(maps, reference[:2])


def test_running_leaves_a_model_as_it_was() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(2).eval(), nn.Linear(2, 1))
    modes = [module.training for module in model.modules()]
    assert modes == [True, True, False, True]
    inputs = torch.ones(5, 2)
    given = outputs(model, inputs.split(2))
    assert given.shape == (5, 1)
    assert not given.requires_grad
    assert torch.equal(given, given[:1].expand(5, 1))  # no dropout
    assert [module.training for module in model.modules()] == modes
    with pytest.raises(ZeroDivisionError), evaluating(model):
        1 / sum(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == modes
    with pytest.raises(ValueError, match="batches must not be empty"):
        outputs(model, [])
