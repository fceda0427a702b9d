"""What outputs are judged by."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from ssvq.evaluate.classification import accuracy, agreement, divergence

from .subject import Metric


def _cosine(found: Tensor, expected: Tensor, labels: Tensor) -> float:
    return float(functional.cosine_similarity(found.double(), expected.double()).mean())


def _top_one(found: Tensor, expected: Tensor, labels: Tensor) -> float:
    return accuracy(found, labels).value


def _agreement(found: Tensor, expected: Tensor, labels: Tensor) -> float:
    return agreement(found, expected).value


def _divergence(found: Tensor, expected: Tensor, labels: Tensor) -> float:
    return divergence(found, expected).value


COSINE = Metric(name="cosine to float", score=_cosine)
"""Mean over the samples."""
TOP_ONE = Metric(name="top-1", score=_top_one)
AGREEMENT = Metric(name="agreement with float", score=_agreement)
DIVERGENCE = Metric(name="KL divergence from float, nats", score=_divergence)
