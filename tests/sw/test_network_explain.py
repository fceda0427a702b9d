"""What `ssvq compile --explain` says is what the program and the plan say, as a table and as a picture."""

from __future__ import annotations

import io
from xml.etree.ElementTree import Element, fromstring

import numpy as np
import pytest
from rich.console import Console
from test_network_lowering import SSVQ, compiled, images, small_vit

from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.network.integer.integer_network import ImageStep, IntegerNetwork, NetworkInput, StoredTensor
from ssvq.network.integer.strided import Block, View
from ssvq.network.program.emission import SLACKS, CompiledNetwork, emit
from ssvq.network.report.explain import explain, explain_table
from ssvq.network.report.memory_picture import memory_svg
from ssvq.network.report.memory_use import KINDS, in_use, kinds_of, peak, scope_of, words_by_step
from ssvq.program import ProgramError
from ssvq.reference import ActivationScale
from ssvq.window_scales import max_pool
from ssvq_gen.config import PRESETS
from ssvq_gen.format import Opcode

CONFIG = PRESETS["tiny"]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def made() -> CompiledNetwork:
    return compiled(small_vit(), images(1), CONFIG, SSVQ)


def pooled(*rows: tuple[int, int], name: str = "pool") -> CompiledNetwork:
    """A max pooling of 6 x 5 pixels to 3 x 2, in bands."""
    scale = ActivationScale(scale=0.1)
    geometry = ConvolutionGeometry(kernel=(2, 2), stride=(2, 2))
    operation = max_pool(name, channels=8, geometry=geometry, input_scale=scale, output_scale=scale)
    image = {"height": 6, "width": 5, "source": Block(tensor="x", tokens=30, channels=8)}
    steps = [
        ImageStep(
            name=f"{name}.{number}",
            operation=operation,
            rows=(start, stop),
            target=Block(tensor="y", token=2 * start, tokens=2 * (stop - start), channels=8),
            **image,
        )
        for number, (start, stop) in enumerate(rows)
    ]
    tensors = [StoredTensor(name=name, tokens=size, channels=8, scale=scale) for name, size in (("x", 30), ("y", 6))]
    network = IntegerNetwork(
        tensors={tensor.name: tensor for tensor in tensors},
        inputs=(NetworkInput(name="x", tensor="x", shape=(1, 8, 6, 5), permutation=(0, 2, 3, 1)),),
        steps=tuple(steps),
        outputs={"y": View.whole("y", (3, 2, 8))},
        output_scales={"y": scale},
    )
    return emit(network, CONFIG)


def texts(element: Element, tag: str) -> list[str]:
    return [own.text or "" for own in element.iter(f"{SVG}{tag}")]


def test_places_are_those_of_the_plan(made: CompiledNetwork) -> None:
    rows = {row.name: row for row in explain(made, CONFIG)}
    assert list(rows) == [job.name for job in made.program.jobs]
    lifetimes = {own.name: own for own in made.plan.lifetimes}
    for row in rows.values():
        for placed in (*row.reads, *row.writes, *row.loads):
            own = lifetimes[placed.name]
            assert (placed.word, placed.words) == (made.plan.places[own.name], own.words)
            assert row.number is None or own.first <= row.number + 1
            assert row.number is None or row.number <= own.last
    assert [own.name for own in rows["blocks.0.add"].reads] == ["add", "blocks.0.attn.proj"]
    assert [own.name for own in rows["blocks.0.attn.qkv"].writes] == ["blocks.0.attn.qkv"]
    table, user = "blocks.0.attn.softmax.0 table", rows["blocks.0.attn.softmax.0"].number
    (loader,) = (row.number for row in rows.values() if table in [own.name for own in row.loads])
    assert user is not None
    assert loader is not None
    assert 1 <= user - loader <= max(ahead for ahead, _ in SLACKS)
    assert [own.name for own in rows["input images"].writes] == ["images"]
    assert [own.name for own in rows["output output"].reads] == ["head"]


def test_every_constant_is_loaded_and_every_byte_is_there(made: CompiledNetwork) -> None:
    rows = explain(made, CONFIG)
    loaded = [placed.name for row in rows for placed in row.loads]
    kinds = kinds_of(made)
    assert sorted(loaded) == sorted(name for name, kind in kinds.items() if kind in ("constant", "parameters", "table"))
    fields = made.program.descriptors()
    for found, opcode in (
        (sum(row.weight_bytes for row in rows), Opcode.MATMUL),
        (sum(row.load_bytes for row in rows), Opcode.LOAD),
        (sum(row.store_bytes for row in rows), Opcode.STORE),
    ):
        assert found == sum(d["dram_bytes"] for d in fields if d["opcode"] == opcode) > 0


def test_words_in_use(made: CompiledNetwork) -> None:
    words = words_by_step(made.plan)
    assert len(words) == len(made.network.steps) + 1
    for step, count in enumerate(words):
        alive = in_use(made.plan, step)
        assert count == sum(own.words for own in alive)
        ends = [made.plan.places[own.name] + own.words for own in alive]
        assert all(end <= made.plan.places[own.name] for end, own in zip(ends, alive[1:], strict=False))
    assert peak(made.plan).words == max(words) <= made.plan.words
    assert {row.number: row.words for row in explain(made, CONFIG) if row.number is not None} == dict(
        enumerate(words[:-1])
    )


def test_the_table_names_every_step(made: CompiledNetwork) -> None:
    out = io.StringIO()
    Console(file=out, width=400).print(explain_table(made, CONFIG))
    text = out.getvalue()
    for step in made.network.steps:
        assert f" {step.name} " in text
    add = made.plan.places["add"]
    assert f" < add [{add}..{add + 67}] " in text
    assert f" + blocks.0.attn.softmax.0 table [{made.plan.places['blocks.0.attn.softmax.0 table']}.." in text
    most = peak(made.plan)
    assert f"most in use: {most.words:,} of 2,048 words" in text
    assert "rows" not in text


def test_bands_say_which_rows_they_compute() -> None:
    rows = explain(pooled((0, 1), (1, 3)), CONFIG)
    assert [row.rows for row in rows] == ["", "0 to 0 of 3", "1 to 2 of 3", ""]
    assert [row.kinds for row in rows] == [("load",), ("pool",), ("pool",), ("store",)]
    assert [row.rows for row in explain(pooled((0, 3)), CONFIG)] == ["", "", ""]


def test_another_core_is_refused(made: CompiledNetwork) -> None:
    with pytest.raises(ProgramError, match="was not compiled for the configuration 'edge'"):
        explain(made, PRESETS["edge"])


def test_the_picture_has_a_box_for_each_lifetime(made: CompiledNetwork) -> None:
    picture = fromstring(memory_svg(made, CONFIG.word_bytes))
    kinds = kinds_of(made)
    assert set(kinds.values()) == set(KINDS)
    titles = texts(picture, "title")[1:]
    assert len(titles) == len(made.plan.lifetimes)
    for own, title in zip(made.plan.lifetimes, titles, strict=True):
        assert title.startswith(f"{own.name}: {own.words:,} words from {made.plan.places[own.name]:,} on, ")
        assert f" {kinds[own.name]}, steps {own.first} to {own.last} (" in title
    labels = texts(picture, "text")
    assert {"blocks.0.attn.qkv", "blocks.0", "blocks.1", *KINDS} <= set(labels)


def test_boxes_lie_apart_and_within(made: CompiledNetwork) -> None:
    picture = fromstring(memory_svg(made, CONFIG.word_bytes))
    width, height = map(float, picture.attrib["viewBox"].split()[2:])
    boxes = [
        [float(own.attrib[name]) for name in ("x", "y", "width", "height")]
        for own in picture.iter(f"{SVG}rect")
        if own.attrib["class"].startswith("box")
    ]
    assert len(boxes) > 20
    places = np.array(boxes)
    assert places[:, :2].min() >= 0
    assert (places[:, 0] + places[:, 2]).max() <= width
    assert (places[:, 1] + places[:, 3]).max() <= height
    for number, (x, y, w, h) in enumerate(boxes):
        for other_x, other_y, other_w, other_h in boxes[:number]:
            shared = min(x + w, other_x + other_w) - max(x, other_x), min(y + h, other_y + other_h) - max(y, other_y)
            assert min(shared) < 0.05


def test_the_same_network_gives_the_same_picture(made: CompiledNetwork) -> None:
    again = compiled(small_vit(), images(1), CONFIG, SSVQ)
    assert memory_svg(made, 8) == memory_svg(again, 8)
    assert memory_svg(made, 8) != memory_svg(pooled((0, 3)), 8)


def test_names_are_escaped() -> None:
    picture = memory_svg(pooled((0, 3), name='a<b>&"c'), 8)
    assert "a<b>" not in picture
    fromstring(picture)


@pytest.mark.parametrize(
    ("layer", "scope"),
    [("blocks.0.attn.qkv", "blocks.0"), ("features.3.1", "features.3"), ("head", "head"), ("norm.weight", "norm")],
)
def test_scopes(layer: str, scope: str) -> None:
    assert scope_of(layer) == scope
