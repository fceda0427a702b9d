"""Runs Tcl scripts of vendors' tools without the tools: every command that Tcl does not know is recorded."""

import tkinter
from collections.abc import Mapping

_PRELUDE = """
set calls {}
proc unknown {args} {
    lappend ::calls $args
    set command [lindex $args 0]
    if {[info exists ::answers($command)]} { return $::answers($command) }
    if {[regexp {::add_(.*)} $command -> kind]} { return $kind/[lindex $args 1] }
    return $command
}
"""


class Recorder:
    """A Tcl interpreter; an object that a script adds is called by its kind and name, as in `register/STATUS`."""

    def __init__(self, answers: Mapping[str, str] | None = None) -> None:
        self._tcl = tkinter.Tcl()
        self._tcl.eval(_PRELUDE)
        for command, answer in (answers or {}).items():
            self._tcl.call("set", f"answers({command})", answer)

    def run(self, path: str, *arguments: str) -> list[tuple[str, ...]]:
        """Commands that a script called, in order, each with its arguments. Raises tkinter.TclError."""
        self._tcl.call("set", "argv", self._tcl.call("list", *arguments))
        self._tcl.call("source", path)
        calls = self._tcl.splitlist(self._tcl.call("set", "calls"))
        return [tuple(map(_text, self._tcl.splitlist(call))) for call in calls]


def _text(word: object) -> str:
    """A word as Tcl shows it: Python gets lists as tuples."""
    return " ".join(map(_text, word)) if isinstance(word, tuple) else str(word)
