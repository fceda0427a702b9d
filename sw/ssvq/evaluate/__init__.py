"""How good a model is at its task, and how close to another model: pure functions of outputs, and their tasks."""

from ssvq.evaluate.estimate import Estimate

__all__ = ["Estimate"]
