"""One mutant: where the core is changed and how, as Yosys writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

MODES = {
    "inv": "inverted",
    "const0": "stuck at 0",
    "const1": "stuck at 1",
    "cnot0": "inverted while another bit is 0",
    "cnot1": "inverted while another bit is 1",
}
"""What happens to a bit, by Yosys's name for it."""

_OPTION = re.compile(r" -(\w+) (\S+)")
_PLACE = re.compile(r"[^:]*:(\d+)")


class MutationError(ValueError):
    """A line is none of Yosys's mutations; the message quotes it."""


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """A bit of a cell's port that behaves otherwise.

    Attributes:
        mode: one of `MODES`.
        module: of the generated Verilog; all its instances are changed alike.
        place: the cell, its port and its bit, and with `cnot0` and `cnot1` the bit of the same port that decides.
        lines: of the generated Verilog, that the cell comes from.
    """

    mode: str
    module: str
    place: str
    lines: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.mode} {self.module} {self.place}"

    @classmethod
    def parse(cls, line: str) -> Mutation:
        """From a line of `mutate -list`. Raises MutationError."""
        options = _OPTION.findall(line)
        values = dict(options)
        if not line.startswith("mutate ") or not {"mode", "module", "cell", "port", "portbit"} <= values.keys():
            raise MutationError(f"this is no mutation: {line!r}")
        if values["mode"] not in MODES:
            raise MutationError(f"the mode must be one of {', '.join(MODES)}, not {values['mode']!r}")
        place = [values[name] for name in ("cell", "port", "portbit", "ctrlbit") if name in values]
        found = (_PLACE.match(value) for name, value in options if name == "src")
        lines = tuple(dict.fromkeys(int(match[1]) for match in found if match))
        return cls(mode=values["mode"], module=values["module"], place=" ".join(place), lines=lines)

    def command(self, selector: str, width: int, number: int) -> str:
        """Yosys's command that makes it: active while the port `selector` of the top module is `number`."""
        names = ("cell", "port", "portbit", "ctrlbit")
        place = " ".join(f"-{name} {value}" for name, value in zip(names, self.place.split(" "), strict=False))
        return f"mutate -mode {self.mode} -module {self.module} {place} -ctrl {selector} {width} {number}"

    def describe(self) -> str:
        """In words."""
        cell, port, bit, *control = self.place.split(" ")
        text = f"bit {bit} of {port} of {cell} in {self.module} is {MODES[self.mode]}"
        return text.replace("another bit", f"its bit {control[0]}") if control else text
