"""Why there is no graph, or none that can be run."""

from __future__ import annotations


class GraphError(ValueError):
    """A model, or a part of it, cannot become a graph. `where` names the node, parameter, input or file."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem


class OperatorError(ValueError):
    """An operator's attributes or operands break a rule. Whoever knows the node's name makes a GraphError of it."""


class UnsupportedError(Exception):
    """An operation of PyTorch or ONNX has no form in the operator set; the text is the reason. It becomes a Host."""


class ReportError(ValueError):
    """A run's record, profile or baseline does not belong to what it is shown with, or does not add up.

    `where` names the file or part.
    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem
