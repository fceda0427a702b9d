"""A picture of the activation memory over time, as SVG: steps to the right, words upwards, a box for each lifetime."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ssvq.network.program.emission import CompiledNetwork
from ssvq.network.program.memory_plan import Lifetime, MemoryPlan
from ssvq.network.report.memory_use import KINDS, kinds_of, peak, scope_of, share
from ssvq.network.report.step_work import THROUGH_DRAM, layer_of

WIDTH, HEIGHT = 1200, 520
LEFT, RIGHT, TOP, BOTTOM = 70, 12, 46, 64
ROOM_ABOVE = 1.06
"""Of the words that are ever in use, how far up the picture goes, if the memory does."""
LETTER_WIDTH, LETTER_HEIGHT = 5.6, 11.0
"""Of the labels: what a letter takes at most on average."""
THINNEST = 1.5
"""What a box has at least, so that it is seen."""
TICKS = 8
STYLE = """
.mem { --ink: #1c2430; --paper: #ffffff; --line: #c4ccd6; font: 10px system-ui, sans-serif;
  --input: #8fc1e8; --activation: #b9dba8; --constant: #f2d48a; --parameters: #e3a6c4; --table: #c9b4ea;
  --output: #f0a98f }
@media (prefers-color-scheme: dark) { .mem { --ink: #e4e9f0; --paper: #12171e; --line: #455060; --input: #2d628d;
  --activation: #41692f; --constant: #7d6315; --parameters: #7f3a5e; --table: #5b4394; --output: #8d4428 } }
.mem text { fill: var(--ink) } .mem .paper { fill: var(--paper) } .mem .line { stroke: var(--line) }
.mem .box { stroke: var(--paper); stroke-width: 0.6 } .mem .limit { stroke: var(--ink); stroke-dasharray: 5 3 }
"""
STYLE += " ".join(f".mem .{kind} {{ fill: var(--{kind}) }}" for kind in KINDS)


def memory_svg(made: CompiledNetwork, word_bytes: int) -> str:
    """The picture, a whole SVG document without a declaration, so that it may stand in a page. It takes the colours of
    the reader's scheme, dark or light. The same network gives the same text.

    Args:
        made: a compiled network.
        word_bytes: of the core's memory.
    """
    plan, steps = made.plan, len(made.network.steps)
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH} {HEIGHT}", "class": "mem"})
    root.set("role", "img")
    SubElement(root, "title").text = "Activation memory over time"
    SubElement(root, "style").text = STYLE
    SubElement(root, "rect", {"class": "paper", "width": str(WIDTH), "height": str(HEIGHT)})
    frame = _Frame(steps=steps + 1, words=min(plan.depth, max(1, int(plan.words * ROOM_ABOVE))))
    _axes(root, frame, made, word_bytes)
    kinds = kinds_of(made)
    names = [step.name for step in made.network.steps] + ["the end"]
    for own in plan.lifetimes:
        _box(root, frame, plan, own, kinds[own.name], names)
    if plan.depth <= frame.words:
        y = _number(frame.y(plan.depth))
        _line(root, LEFT, y, WIDTH - RIGHT, y, "limit")
    _legend(root, made, [kind for kind in KINDS if kind in kinds.values()])
    indent(root, space="")
    return tostring(root, encoding="unicode") + "\n"


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """From steps and words to places in the picture."""

    steps: int
    words: int

    def x(self, step: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / self.steps

    def y(self, word: int) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * word / self.words


def _box(root: Element, frame: _Frame, plan: MemoryPlan, own: Lifetime, kind: str, names: list[str]) -> None:
    place = plan.places[own.name]
    x, y = frame.x(own.first), frame.y(place + own.words)
    width, height = frame.x(own.last + 1) - x, frame.y(place) - y
    group = SubElement(root, "g")
    when = f"steps {own.first} to {own.last} ({names[own.first]} to {names[min(own.last, len(names) - 1)]})"
    SubElement(group, "title").text = f"{own.name}: {own.words:,} words from {place:,} on, {kind}, {when}"
    box = {"x": _number(x), "y": _number(y), "width": _number(width), "height": _number(max(height, THINNEST))}
    SubElement(group, "rect", {"class": kind if height < 2 * THINNEST else f"box {kind}", **box})
    for text, is_upright in itertools.product(_shorter(own.name), (False, True)):
        along, across = (height, width) if is_upright else (width, height)
        if LETTER_WIDTH * len(text) + 4 <= along and across >= LETTER_HEIGHT:
            middle = _number(x + width / 2), _number(y + height / 2)
            more = {"dominant-baseline": "central"}
            if is_upright:
                more["transform"] = f"rotate(-90 {middle[0]} {middle[1]})"
            SubElement(group, "text", {"x": middle[0], "y": middle[1], "text-anchor": "middle", **more}).text = text
            return


def _shorter(name: str) -> Iterator[str]:
    """A name, and what is left of it without its first parts, as long as that begins with a word."""
    parts = name.split(".")
    for start, part in enumerate(parts):
        if start == 0 or not part[:1].isdigit():
            yield ".".join(parts[start:])
    if " " in name:
        yield name.rpartition(" ")[2]


def _axes(root: Element, frame: _Frame, made: CompiledNetwork, word_bytes: int) -> None:
    bottom = HEIGHT - BOTTOM
    step = _round_step(frame.words / TICKS)
    for word in range(0, frame.words + 1, step):
        y = frame.y(word)
        _line(root, LEFT - 4, _number(y), WIDTH - RIGHT, _number(y), "line")
        _text(root, LEFT - 7, _number(y + 3), f"{word:,}", "end")
    _text(root, 14, HEIGHT / 2, f"words of {word_bytes} bytes", "middle", transform=f"rotate(-90 14 {HEIGHT / 2:g})")
    every = _round_step(frame.steps / (2 * TICKS))
    for number in range(0, frame.steps, every):
        x = frame.x(number)
        _line(root, _number(x), bottom, _number(x), bottom + 4, "line")
        _text(root, _number((x + frame.x(number + 1)) / 2), bottom + 14, f"{number}", "middle")
    start = 0
    for scope, group in itertools.groupby(_scopes(made)):
        stop = start + len(list(group))
        left, right = frame.x(start), frame.x(stop)
        _line(root, _number(left), TOP, _number(left), bottom + 34, "line")
        if LETTER_WIDTH * len(scope) + 4 <= right - left:
            _text(root, _number((left + right) / 2), bottom + 30, scope, "middle")
        start = stop
    _text(root, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "steps of the program", "middle")


def _scopes(made: CompiledNetwork) -> Iterator[str]:
    """Of each step; movement is in that of the step before it."""
    scope = ""
    for step in made.network.steps:
        layer = layer_of(step)
        scope = scope_of(layer) if layer != THROUGH_DRAM else scope
        yield scope


def _legend(root: Element, made: CompiledNetwork, kinds: list[str]) -> None:
    x = float(LEFT)
    for kind in kinds:
        SubElement(root, "rect", {"class": kind, "x": _number(x), "y": "8", "width": "12", "height": "12"})
        _text(root, _number(x + 16), 18, kind, "start")
        x += 26 + (LETTER_WIDTH + 1) * len(kind)
    most, plan = peak(made.plan), made.plan
    names = [step.name for step in made.network.steps] + ["the end"]
    about = f"most in use: {share(most.words, plan.depth)} in step {most.step}, {names[most.step]}"
    _text(root, LEFT, 36, f"{about}; highest word in use: {plan.words - 1:,}", "start")


def _round_step(least: float) -> int:
    """1, 2 or 5 times a power of ten, at least `least` and 1."""
    power = 1
    while 5 * power < least:
        power *= 10
    return next(digit * power for digit in (1, 2, 5) if digit * power >= least)


def _line(root: Element, x: float | str, y: float | str, to_x: float | str, to_y: float | str, kind: str) -> None:
    SubElement(root, "line", {"class": kind, "x1": str(x), "y1": str(y), "x2": str(to_x), "y2": str(to_y)})


def _text(root: Element, x: float | str, y: float | str, text: str, anchor: str, **more: str) -> None:
    SubElement(root, "text", {"x": str(x), "y": str(y), "text-anchor": anchor, **more}).text = text


def _number(value: float) -> str:
    """Short and the same everywhere."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
