"""The core's Verilog with many mutants in it, of which a selector makes one active. Yosys chooses and makes them."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssvq_gen.toolbox import find_yosys, run_yosys

from ..cache import cached_folder, content_key
from .mutation import Mutation, cells_of, module_of

SELECTOR = "mutant"
"""Input of the top module that is the number of the active mutant."""
LEAST_IN_MODULE = 4

SOURCE_FILE = "source.v"
_MUTATED, _LISTS, _CELLS = "mutated.v", "lists.txt", "cells.txt"
# Without ROMs, which are `initial` blocks that nothing could change. What Yosys finds to be of no consequence once the
# hierarchy is gone is removed: mutants in it would say nothing. Bits that nothing uses are removed register by
# register, back from the outputs: a column of the array has as many registers as there are rows.
_NARROWING_PASSES = 12
_READ = (
    """read_verilog {source}
hierarchy -check -top {top}
proc -norom
flatten
opt_expr
opt_merge
opt_dff -nodffe -nosdff
opt_expr
"""
    + _NARROWING_PASSES * "splitcells\nwreduce\nopt_clean -purge\n"
    + """opt_expr
opt_merge
opt_clean -purge
"""
)


def read_script(top: str, source: str = SOURCE_FILE) -> str:
    """Yosys's commands that read the core as it is mutated."""
    return _READ.format(top=top, source=source)


# Simulators take `parallel_case` for an assertion, which fails while the bits of a choice change one after the other.
_WRITE = "write_verilog -noattr -noparallelcase"
_SPARE = 2
"""So many times as many mutants are drawn as are kept, for those that turn out to be none."""
_SELECTED = re.compile(rf"^  assign (\S+) = {SELECTOR} == \d+'h([0-9a-f]+);$", re.MULTILINE)
_CHOICE = re.compile(r"^  assign \S+(?: \[\d+\])? = (\S+) \? (.+?) : (.+?);$", re.MULTILINE)
_ALL_CELLS = "c:* t:$meminit* %d"
_NOT_INITIAL_WORDS = "t:$meminit* %n %i"


@dataclass(frozen=True, kw_only=True)
class MutatedVerilog:
    """Verilog with mutants.

    Attributes:
        path: of the file. Its top module has the input `SELECTOR` of `width` bits; 0 selects none.
        source: the file that it was made from, whose lines the mutations name.
        mutations: number i + 1 selects the i-th.
    """

    path: Path
    source: Path
    mutations: tuple[Mutation, ...]

    @property
    def width(self) -> int:
        """Bits of the selector."""
        return len(self.mutations).bit_length()


def shares(sizes: Mapping[str, int], count: int, least: int = LEAST_IN_MODULE) -> dict[str, int]:
    """How many of `count` things each module gets: in proportion to its size, and at least `least`.

    Raises ValueError when `count` does not suffice for that.
    """
    if count < least * len(sizes):
        raise ValueError(f"count must be at least {least * len(sizes)} for {len(sizes)} modules, not {count}")
    left, total = count - least * len(sizes), sum(sizes.values())
    result = {name: least + left * size // total for name, size in sizes.items()}
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))
    for name in largest[: count - sum(result.values())]:
        result[name] += 1
    return result


def mutated_verilog(
    source: Path, top: str, *, count: int, seed: int = 0, least: int = LEAST_IN_MODULE
) -> MutatedVerilog:
    """Verilog with `count` mutants or, of a small module, as many as there are; from the cache when it is there.

    Raises ToolError, and ValueError for a count that is too small for the modules.
    """
    settings = json.dumps([top, count, seed, least, _READ, _WRITE, _ALL_CELLS, _NOT_INITIAL_WORDS, _SPARE])
    key = content_key({"source": source.read_bytes(), "settings": settings, "yosys": find_yosys().version})

    def make(folder: Path) -> None:
        shutil.copy(source, folder / SOURCE_FILE)
        _run(folder, f"{read_script(top)}tee -q -o {_CELLS} select -list {_ALL_CELLS}")
        names = (folder / _CELLS).read_text(encoding="utf-8").split()
        sizes = Counter(module_of(top, name.partition("/")[2]) for name in names if "/" in name)
        parts = shares(dict(sorted(sizes.items())), count, least)
        drawn = _lists(folder, top, {name: _SPARE * part for name, part in parts.items()}, seed)
        _apply(folder, top, [Mutation.parse(line) for line in drawn])
        void = void_mutants((folder / _MUTATED).read_text(encoding="utf-8"))
        lines = _first_of_each([line for number, line in enumerate(drawn, start=1) if number not in void], parts)
        (folder / _LISTS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        _apply(folder, top, [Mutation.parse(line) for line in lines])

    folder, _ = cached_folder("mutants", key, make)
    lines = (folder / _LISTS).read_text(encoding="utf-8").splitlines()
    return MutatedVerilog(
        path=folder / _MUTATED,
        source=folder / SOURCE_FILE,
        mutations=tuple(Mutation.parse(line) for line in lines),
    )


def void_mutants(verilog: str) -> set[int]:
    """Numbers of those mutants that are none: a constant is replaced by itself, or a value that does not matter."""
    numbers = {match[1]: int(match[2], 16) for match in _SELECTED.finditer(verilog)}
    choices = (match for match in _CHOICE.finditer(verilog) if match[1] in numbers)
    return {numbers[match[1]] for match in choices if match[3] in (match[2], "1'hx")}


def _first_of_each(lines: Sequence[str], parts: Mapping[str, int]) -> list[str]:
    """As many lines of each module as its part, in their order."""
    taken: Counter[str] = Counter()
    result = []
    for line in lines:
        module = Mutation.parse(line).module
        taken[module] += 1
        if taken[module] <= parts[module]:
            result.append(line)
    return result


def _lists(folder: Path, top: str, parts: Mapping[str, int], seed: int) -> list[str]:
    """Lines of `mutate -list`, `parts` of each module."""
    names = {module: f"list-{number}.txt" for number, module in enumerate(parts)}
    commands = [
        f"mutate -list {parts[module]} -seed {seed} -o {name} {cells_of(top, module)} {_NOT_INITIAL_WORDS}"
        for module, name in names.items()
    ]
    _run(folder, read_script(top) + "\n".join(commands))
    lines = []
    for name in names.values():
        lines += (folder / name).read_text(encoding="utf-8").splitlines()
        (folder / name).unlink()
    return lines


def _apply(folder: Path, top: str, mutations: list[Mutation]) -> None:
    width = len(mutations).bit_length()
    commands = [mutation.command(SELECTOR, width, number) for number, mutation in enumerate(mutations, start=1)]
    _run(folder, read_script(top) + "\n".join([*commands, f"{_WRITE} {_MUTATED}"]))


def _run(folder: Path, script: str) -> None:
    """Run a script that is too long for a command line."""
    (folder / "script.ys").write_text(f"{script}\n", encoding="utf-8")
    run_yosys("script script.ys", cwd=folder)
    (folder / "script.ys").unlink()
