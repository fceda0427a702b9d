"""What is measured of a model, by family."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from ssvq.accuracy.study import Family
from ssvq.evaluate.sentences import Embed, lee50, simlex999, wordsim353

Metrics = dict[str, float]
"""By name; a metric's standard error, where its sample is small, is `NAME error`."""
ERROR = " error"


def measure(family: Family, model: nn.Module) -> Metrics:
    """Metrics of a model beside those of its training task.

    Args:
        family: decides what is measured.
        model: as it would run on the core.
    """
    return _FURTHER.get(family, _nothing)(model)


def _nothing(_model: nn.Module) -> Metrics:
    return {}


def _sentences(model: nn.Module) -> Metrics:
    embed: Embed = model.embed  # type: ignore[assignment]
    return {
        "wordsim353": wordsim353(embed).spearman,
        "simlex999": simlex999(embed).spearman,
        "lee50": lee50(embed).pearson,
    }


_FURTHER: Mapping[str, Callable[[nn.Module], Metrics]] = {"minilm": _sentences}
