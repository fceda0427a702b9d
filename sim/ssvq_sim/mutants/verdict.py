"""What came of one mutant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A mutant after its scenarios.

    Attributes:
        number: of the mutant; 0 is the core itself.
        scenario: that it failed; None when it got through all, and "" when it failed before the first.
        problem: what was wrong there, in a line.
        seconds: real time that it took.
    """

    number: int
    scenario: str | None
    problem: str
    seconds: float

    @property
    def killed(self) -> bool:
        """Some scenario told it from the core."""
        return self.scenario is not None
