from __future__ import annotations

import io

from rich.console import Console

from ssvq.train.display import Display
from ssvq.train.trainer import LOSS, StepReport

REPORT = StepReport(losses={LOSS: 0.5}, learning_rate=1.0, gradient_norm=None, stop=False)


def _shown(*, terminal: bool) -> str:
    text = io.StringIO()
    display = Display(Console(file=text, force_terminal=terminal, width=100))
    with display.doing("look"):
        display.note("[a note] with /a/path")
    with display.bar(4, done=2):
        display.step(3, REPORT)
        with display.doing("evaluate"):
            display.metrics("step 3", {"accuracy": 0.25})
        display.step(4, REPORT)
    display.results({"float": {"accuracy": 0.75}, "final": {"accuracy": 0.5, "other": 1.0}}, 1.5)
    return text.getvalue()


def test_a_terminal_shows_progress() -> None:
    shown = _shown(terminal=True)
    for text in ("4/4", "loss 0.5000", "[a note] with /a/path", "step 3: accuracy 0.2500", "1.500 bits per weight"):
        assert text in shown


def test_a_file_gets_lines_only() -> None:
    lines = _shown(terminal=False).splitlines()
    assert lines[:2] == ["[a note] with /a/path", "step 3: accuracy 0.2500"]
    assert "4/4" not in "".join(lines)
    assert "\x1b" not in "".join(lines)
