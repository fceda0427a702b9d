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

_FLATTENED = "$flatten"
_INSTANCE = re.compile(r"\\([^.\\]+)\.")
_OPTION = re.compile(r" -(\w+) (\S+)")
_PLACE = re.compile(r"[^:]*:(\d+)")


def module_of(top: str, cell: str) -> str:
    """Module of the generated Verilog that a cell of the flattened core comes from: names of instances with dots."""
    names, place = [top], len(_FLATTENED)
    while cell.startswith(_FLATTENED) and (match := _INSTANCE.match(cell, place)):
        names.append(match[1])
        place = match.end()
    return ".".join(names)


def prefix_of(top: str, module: str) -> str:
    """What names of cells begin with that come from a module or its instances; empty for the top."""
    path = module.removeprefix(top).removeprefix(".")
    return _FLATTENED + "".join(f"\\{name}." for name in path.split(".")) if path else ""


def cells_of(top: str, module: str) -> str:
    """Yosys's selection of the cells that come from a module, but not from its instances."""
    prefix = prefix_of(top, module)
    return f"c:{prefix}* c:{prefix}\\* %d" if prefix else f"c:* c:{_FLATTENED}* %d"


class MutationError(ValueError):
    """A line is none of Yosys's mutations; the message quotes it."""


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """A bit of a cell's port that behaves otherwise.

    Attributes:
        mode: one of `MODES`.
        module: of the generated Verilog that the cell comes from.
        top: the flattened core.
        place: the cell, its port and its bit, and with `cnot0` and `cnot1` the bit of the same port that decides.
        lines: of the generated Verilog, that the cell comes from.
    """

    mode: str
    module: str
    top: str
    place: str
    lines: tuple[int, ...] = ()

    @property
    def cell(self) -> str:
        """Name of the cell in the flattened core."""
        return self.place.split(" ")[0]

    def __str__(self) -> str:
        return f"{self.mode} {self.place}"

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
        module = module_of(values["module"], values["cell"])
        return cls(mode=values["mode"], module=module, top=values["module"], place=" ".join(place), lines=lines)

    def command(self, selector: str, width: int, number: int) -> str:
        """Yosys's command that makes it: active while the port `selector` of the top module is `number`."""
        return f"{self.alone(self.top)} -ctrl {selector} {width} {number}"

    def alone(self, module: str) -> str:
        """Yosys's command that makes it for good, in a copy of the flattened core."""
        names = ("cell", "port", "portbit", "ctrlbit")
        place = " ".join(f"-{name} {value}" for name, value in zip(names, self.place.split(" "), strict=False))
        return f"mutate -mode {self.mode} -module {module} {place}"

    def describe(self) -> str:
        """In words."""
        cell, port, bit, *control = self.place.split(" ")
        text = f"bit {bit} of {port} of {cell} in {self.module} is {MODES[self.mode]}"
        return text.replace("another bit", f"its bit {control[0]}") if control else text
