"""Files of compiled networks: the same network, the same bytes, and nothing that is not as it must be."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from test_network_lowering import INT8, SSVQ, images, small_vit
from test_network_partition import IDS, Module, assembled
from torch import Tensor, nn

from ssvq.network import GraphError, graph_of, work_report
from ssvq.network.calibration import calibrate
from ssvq.network.compression import compress_graph
from ssvq.network.files.network_check import check_network
from ssvq.network.files.network_file import (
    CODEC,
    METADATA_KEY,
    CompiledModel,
    NetworkFileError,
    load_network,
    network_from_bytes,
    network_to_bytes,
    save_network,
)
from ssvq.network.files.tree_codec import Codec, CodecError
from ssvq.network.hosting.assembly import assemble
from ssvq.network.integer import integer_network as steps
from ssvq.network.integer.strided import Block
from ssvq.network.report.layer_summary import summarize
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq_gen.config import PRESETS

TINY = PRESETS["tiny"]


def transformer(weights: QuantizeConfig = SSVQ) -> CompiledModel:
    (sample,) = images(1)
    graph = graph_of(small_vit(depth=1), sample)
    layers = compress_graph(graph, lambda node: weights)
    made = assemble(graph, calibrate(graph, [sample]), layers, TINY)
    return CompiledModel(
        name="vit",
        config=TINY,
        network=made.network,
        layers=summarize(graph, layers),
        work=work_report(graph, reason=made.partition.reason),
        sample=dict(zip(graph.inputs, sample, strict=True)),
        expected={},
    )


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return transformer()


@pytest.fixture(scope="module")
def content(model: CompiledModel) -> bytes:
    return network_to_bytes(model)


def hosted(function: Callable[[Module, torch.Tensor], object]) -> CompiledModel:
    graph = graph_of(Module(function).eval(), (IDS,))
    made = assembled(graph, IDS)
    return CompiledModel(
        name="hosted",
        config=TINY,
        network=made.network,
        layers=(),
        work=work_report(graph, reason=made.partition.reason),
        sample={"x": IDS},
        expected={},
    )


@pytest.mark.parametrize("weights", [SSVQ, INT8, QuantizeConfig(format=WeightFormat.VQ, codebook_size=8, vector_dim=4)])
def test_a_network_comes_back(weights: QuantizeConfig, tmp_path: Path) -> None:
    model = transformer(weights)
    save_network(model, tmp_path / "net.ssvqnet")
    found = load_network(tmp_path / "net.ssvqnet")
    assert (found.name, found.config, found.layers, found.work) == (model.name, TINY, model.layers, model.work)
    assert network_to_bytes(found) == (tmp_path / "net.ssvqnet").read_bytes()
    (part,), (again,) = model.network.core_parts, found.network.core_parts
    assert (again.compiled.program.image == part.compiled.program.image).all()
    assert dict(again.compiled.plan.places) == dict(part.compiled.plan.places)
    given = part.compiled.network.quantize_inputs(*(value.numpy() for value in model.sample.values()))
    expected, memory = part.compiled.network.run(given), again.compiled.network.run(given)
    assert list(expected) == list(memory)
    assert all((expected[name] == memory[name]).all() for name in expected)


def test_the_same_network_gives_the_same_bytes(content: bytes) -> None:
    assert network_to_bytes(transformer()) == content


def test_writing_is_all_or_nothing(model: CompiledModel, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        save_network(model, tmp_path / "none" / "net.ssvqnet")
    (tmp_path / "net.ssvqnet").mkdir()
    with pytest.raises(OSError, match="net.ssvqnet"):
        save_network(model, tmp_path / "net.ssvqnet")
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.ssvqnet"]


def test_every_truncation_is_refused(content: bytes) -> None:
    for length in (0, 7, 8, 100, len(content) // 2, len(content) - 1):
        with pytest.raises(NetworkFileError):
            network_from_bytes(content[:length])
    with pytest.raises(NetworkFileError):
        network_from_bytes(content + b"\0")


def test_every_flipped_bit_is_noticed(content: bytes) -> None:
    for place in np.random.default_rng(0).integers(0, len(content), 60):
        wrong = bytearray(content)
        wrong[place] ^= 1 << int(place) % 8
        with pytest.raises(NetworkFileError):
            network_from_bytes(bytes(wrong))


def changed(content: bytes, change: Callable[[Any], None], *, about: dict[str, Any] | None = None) -> bytes:
    """A file whose digest is right, and whose network is not."""
    length = int.from_bytes(content[:8], "little")
    old = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][METADATA_KEY])
    arrays = safetensors.numpy.load(content)
    tree = json.loads(old["network"])
    change(tree)
    text = json.dumps(tree, separators=(",", ":"))
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        digest.update(f"{name}:{arrays[name].dtype.name}:{arrays[name].shape}".encode() + arrays[name].tobytes())
    new = {"version": 2, "sha256": digest.hexdigest(), "network": text} | (about or {})
    return bytes(safetensors.numpy.save(arrays, metadata={METADATA_KEY: json.dumps(new)}))


def core_network(tree: Any) -> Any:
    part = tree["CompiledModel"]["network"]["PartitionedNetwork"]["parts"][0]["CorePart"]
    return part["compiled"]["CompiledNetwork"]["network"]["IntegerNetwork"]


def first_of(tree: Any, kind: str) -> Any:
    """The first step of a kind, in place."""
    return next(step[kind] for step in core_network(tree)["steps"] if kind in step)


CHANGES: list[tuple[Callable[[Any], Any], str]] = [
    (lambda tree: tree["CompiledModel"].update(extra=1), "CompiledModel must have exactly name, config"),
    (lambda tree: tree["CompiledModel"].pop("name"), "CompiledModel must have exactly name, config"),
    (lambda tree: tree["CompiledModel"].update(name=3), "file.name must be str, not int"),
    (lambda tree: tree["CompiledModel"].update(name={"float": "inf"}), "file.name must be str, not float"),
    (lambda tree: tree["CompiledModel"].update(config={"Path": {}}), "there is no class 'Path'"),
    (lambda tree: tree["CompiledModel"].update(config={"enum": ["Opcode", "LOAD"]}), "must be CoreConfig, not Opcode"),
    (lambda tree: tree["CompiledModel"].update(config={"enum": ["Opcode", "NONE"]}), "there is no 'NONE' of 'Opcode'"),
    (
        lambda tree: tree["CompiledModel"].update(sample={"map": [["images", {"tensor": ["x", "int8"]}]]}),
        "no array 'x'",
    ),
    (lambda tree: tree["CompiledModel"]["config"]["CoreConfig"].update(rows=7), "rows must be a power of two"),
    (
        lambda tree: tree["CompiledModel"]["config"]["CoreConfig"].update(axi_addr_width=40),
        "its program is not for the",
    ),
    (lambda tree: core_network(tree)["steps"][0]["LinearStep"]["source"]["Block"].update(tensor="x"), "no tensor 'x'"),
    (lambda tree: core_network(tree)["steps"][0]["LinearStep"]["source"]["Block"].update(tokens=99), "is not within"),
    (lambda tree: core_network(tree)["steps"][0]["LinearStep"]["source"]["Block"].update(token=-1), "is not within"),
    (lambda tree: tree["CompiledModel"]["layers"][0]["LayerSummary"].update(weights=0), "a layer must have weights"),
    (lambda tree: core_network(tree).update(outputs={"map": []}), "an output must be an input or a result"),
    (lambda tree: first_of(tree, "ProductStep")["product"]["IntegerProduct"].update(batch_count=1 << 40), "at most"),
    (
        lambda tree: core_network(tree)["inputs"][0]["NetworkInput"].update(permutation=[1, 2, 2]),
        "axes must each have a place",
    ),
]


@pytest.mark.parametrize(("change", "rule"), CHANGES)
def test_a_malformed_network_is_refused(change: Callable[[Any], Any], rule: str, content: bytes) -> None:
    network_from_bytes(changed(content, lambda tree: None))
    with pytest.raises(NetworkFileError, match=rule):
        network_from_bytes(changed(content, change))


@pytest.mark.parametrize(
    ("about", "rule"),
    [
        ({"version": 1}, "the version of a compiled network must be 2, not 1"),
        ({"more": 1}, "the metadata must have exactly version, sha256, network"),
        ({"sha256": "0" * 64}, "the digest does not match the content"),
        ({"network": "\ud800"}, "the network's text is refused"),
    ],
)
def test_metadata_are_checked(about: dict[str, Any], rule: str, content: bytes) -> None:
    with pytest.raises(NetworkFileError, match=rule):
        network_from_bytes(changed(content, lambda tree: None, about=about))


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(safetensors.numpy.save({"x": np.zeros(2)})))
    with pytest.raises(NetworkFileError, match=r"x: the metadata must have ssvqnet: this is not a compiled network"):
        load_network(path)
    with pytest.raises(NetworkFileError, match="must be a regular file"):
        load_network(tmp_path)


def test_a_network_is_checked_as_a_whole(model: CompiledModel) -> None:
    (part,) = model.network.core_parts
    network = part.compiled.network
    check_network(network)
    first = network.steps[0]
    assert isinstance(first, steps.LinearStep)
    far = Block(tensor=first.target.tensor, tokens=1, channels=network.tensors[first.target.tensor].channels + 1)
    with pytest.raises(GraphError, match="is not within"):
        check_network(replace(network, steps=(replace(first, target=far), *network.steps[1:])))


class Gate(nn.Module):
    """One activation stands for all of an operand."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        """(1, T, 16) to the same."""
        y = self.layer(x)
        gated: Tensor = y * torch.sigmoid(y.mean(1, keepdim=True))
        return gated


def test_an_activation_that_stands_for_all_is_kept() -> None:
    sample = (torch.randn(1, 6, 16),)
    graph = graph_of(Gate().eval(), sample)
    layers = compress_graph(graph, lambda node: INT8)
    made = assemble(graph, calibrate(graph, [sample]), layers, TINY)
    work = work_report(graph, reason=made.partition.reason)
    given = dict(zip(graph.inputs, sample, strict=True))
    model = CompiledModel(
        name="gate", config=TINY, network=made.network, layers=(), work=work, sample=given, expected={}
    )
    read = network_from_bytes(network_to_bytes(model))
    (expected,), (found,) = (one.network.run_reference(sample).values() for one in (model, read))
    assert torch.equal(found, expected)


class Colour(Enum):
    RED = 1


@dataclass(frozen=True)
class Thing:
    numbers: tuple[float, ...]
    colour: Colour
    by_name: dict[str, int]
    array: np.ndarray[Any, np.dtype[np.int64]]
    tensor: torch.Tensor | None
    kind: torch.dtype = torch.float32


THINGS = Codec.of((Thing, Colour))


def thing(**changes: Any) -> Thing:
    fields = {
        "numbers": (0.1, math.inf, -math.inf, 1e-300),
        "colour": Colour.RED,
        "by_name": {"a": 1},
        "array": np.array([[1, -(1 << 40)]]),
        "tensor": torch.tensor(True),
    }
    return Thing(**{**fields, **changes})


@pytest.mark.parametrize("values", [(), (0,), (127, -128), (128,), (1 << 15,), (1 << 31,), (-(1 << 63),)])
def test_values_come_back_exactly(values: tuple[int, ...]) -> None:
    given = thing(array=np.array(values, dtype=np.int64))
    data, arrays = THINGS.encode(given)
    found = THINGS.decode(json.loads(json.dumps(data)), arrays, Thing)
    assert found.array.dtype == np.int64
    assert found.array.shape == given.array.shape
    assert (found.array == given.array).all()
    assert (found.numbers, found.colour, found.by_name, found.kind) == (
        *(given.numbers, given.colour, given.by_name),
        torch.float32,
    )
    assert found.tensor.shape == ()
    assert bool(found.tensor)


def test_small_integers_are_narrow_and_equal_arrays_are_one() -> None:
    _, arrays = CODEC.encode((np.arange(5), np.arange(5), np.arange(5).astype(np.int8), np.array([300])))
    assert sorted(array.dtype.name for array in arrays.values()) == ["int16", "int8"]


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (object(), "file: a file cannot hold object"),
        ((1, {"a": Path("x")}), r"file\[1\].a: a file cannot hold PosixPath"),
        (thing(array=np.array(["x"])), "file.array: a file cannot hold arrays of <U1"),
        (lambda: None, "a file cannot hold function"),
    ],
)
def test_what_a_file_cannot_hold(value: object, rule: str) -> None:
    with pytest.raises(CodecError, match=rule):
        THINGS.encode(value)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"numbers": ["a"]}, r"file.numbers must be tuple\[float, ...\], not tuple"),
        ({"numbers": [True]}, r"file.numbers must be tuple\[float, ...\]"),
        ({"numbers": {"float": "huge"}}, "a float must be inf, -inf or nan, not 'huge'"),
        ({"by_name": {"map": [["a", 1], ["a", 2]]}}, "keys must be plain and differ, not 'a'"),
        ({"by_name": {"map": [[["a"], 1]]}}, "keys must be plain and differ"),
        ({"by_name": {"map": 5}}, "file.by_name"),
        ({"by_name": {}}, "file.by_name must be an object of one key"),
        ({"array": {"array": ["000000", "uint8"]}}, "an array of int64 is none of uint8"),
        ({"array": {"array": ["000000", "float64"]}}, "file.array must be"),
        ({"tensor": {"tensor": ["000009", "int8"]}}, "there is no array '000009'"),
        ({"kind": {"dtype": "Tensor"}}, "there is no dtype 'Tensor'"),
        ({"colour": {"enum": ["Colour", "mro"]}}, "there is no 'mro' of 'Colour'"),
        ({"numbers": json.loads("[" * 80 + "]" * 80)}, "levels deep"),
    ],
)
def test_what_the_codec_does_not_write_is_refused(change: dict[str, Any], rule: str) -> None:
    data, arrays = THINGS.encode(thing())
    assert isinstance(THINGS.decode(data, arrays, Thing), Thing)
    data["Thing"] |= change
    with pytest.raises(CodecError, match=rule):
        THINGS.decode(data, arrays, Thing)


def test_two_classes_of_one_name() -> None:
    with pytest.raises(CodecError, match="the name Thing is taken"):
        Codec.of((Thing, Thing))
