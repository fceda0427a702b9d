"""Classifiers: against labels, and against the model that they were made from."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from ssvq.evaluate.estimate import Estimate, mean_of


def accuracy(logits: Tensor, labels: Tensor, *, top: int = 1) -> Estimate:
    """The part of samples whose label is among the `top` largest logits.

    Args:
        logits: (N, classes).
        labels: int64 (N,).
        top: 1 or more, at most the number of classes.

    Raises:
        ValueError: the shapes do not fit, or `top` is not as said.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"labels must be (N,) for logits (N, classes), not {tuple(labels.shape)}, {tuple(logits.shape)}"
        )
    if not 1 <= top <= logits.shape[1]:
        raise ValueError(f"top must be in 1..{logits.shape[1]}, not {top}")
    return mean_of((logits.topk(top, 1).indices == labels[:, None]).any(1))


def agreement(logits: Tensor, reference: Tensor) -> Estimate:
    """The part of samples for which two models, both logits (N, classes), have the same first choice.

    Raises:
        ValueError: the shapes differ.
    """
    _check(logits, reference)
    return accuracy(logits, reference.argmax(1))


def divergence(logits: Tensor, reference: Tensor) -> Estimate:
    """Kullback-Leibler divergence, in nats, of a model's classes from the reference's, both logits (N, classes).

    It is what is lost by coding what the reference says with the model's probabilities; 0 where they are the same.

    Raises:
        ValueError: the shapes differ.
    """
    _check(logits, reference)
    said, truth = (functional.log_softmax(each.double(), 1) for each in (logits, reference))
    return mean_of(functional.kl_div(said, truth, reduction="none", log_target=True).sum(1))


def _check(logits: Tensor, reference: Tensor) -> None:
    if logits.ndim != 2 or logits.shape != reference.shape:
        raise ValueError(f"logits must be (N, classes) for both, not {tuple(logits.shape)}, {tuple(reference.shape)}")
