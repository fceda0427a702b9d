"""What the host runs, in files: named out of fixed lists, the same after reading, refused where it has no name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from command_models import model_file, refused, run
from graphs import ROW, Applied, values
from test_network_file import changed
from test_network_torch_hosts import HOSTS
from torch import Tensor, nn

from ssvq.network import Graph, GraphError, execute, graph_of, work_report
from ssvq.network import operators as ops
from ssvq.network.files.host_functions import require_storable
from ssvq.network.files.network_file import CompiledModel, NetworkFileError, network_from_bytes, network_to_bytes
from ssvq.network.files.torch_values import PLACES, name_of, named
from ssvq.network.hosting.operation_names import ATEN, ONNX
from ssvq.network.hosting.partitioned_network import HostPart, PartitionedNetwork
from ssvq_gen.config import PRESETS

torch.library.define("ssvq_test::twice", "(Tensor x) -> Tensor")
torch.library.impl("ssvq_test::twice", "CompositeExplicitAutograd", lambda x: x * 2)
torch.library.register_fake("ssvq_test::twice", lambda x: torch.empty_like(x))


def host_model(graph: Graph, *inputs: Tensor) -> CompiledModel:
    """A graph that is all on the host."""
    network = PartitionedNetwork(
        inputs=graph.inputs, parts=(HostPart(name="host 0", graph=graph),), outputs={o: o for o in graph.outputs}
    )
    return CompiledModel(
        name="hosted",
        config=PRESETS["tiny"],
        network=network,
        layers=(),
        work=work_report(graph),
        sample=dict(zip(graph.inputs, inputs, strict=True)),
        expected={},
    )


def require_kept(graph: Graph, *inputs: Tensor) -> None:
    """The graph comes back from a file, and gives the same results."""
    assert any(isinstance(node.operator, ops.Host) for node in graph.nodes)
    require_storable(graph)
    content = network_to_bytes(host_model(graph, *inputs))
    found = network_from_bytes(content)
    assert network_to_bytes(found) == content
    for result, expected in zip(found.network.run_reference(inputs).values(), execute(graph, *inputs), strict=True):
        torch.testing.assert_close(result, expected, atol=0, rtol=0, equal_nan=True)


class Recurrent(nn.Module):
    """Takes lists of constants, and one result of three."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.lstm(x[None])[0]
        return found


MODELS: dict[str, Callable[[], nn.Module]] = {
    **{name: (lambda function: lambda: Applied(function))(case[0]) for name, case in HOSTS.items()},
    "PReLU": lambda: nn.Sequential(nn.Linear(6, 4), nn.PReLU(4)),
    "LSTM": Recurrent,
    "places that are values": lambda: Applied(lambda x: torch.gather(x, 1, x.argsort(1))),
    "an infinity": lambda: Applied(lambda x: x.masked_fill(x > 0, -torch.inf)),
    "a new tensor": lambda: Applied(lambda x: torch.cumsum(x, 1, dtype=torch.float32).to(torch.int32)),
}


@pytest.mark.parametrize("name", MODELS)
def test_operations_of_pytorch_come_back(name: str) -> None:
    x = values(*ROW)
    require_kept(graph_of(MODELS[name]().eval(), (x,)), x)


def test_operations_of_onnx_come_back(tmp_path: Path) -> None:
    hosts = pytest.importorskip("test_network_onnx_hosts")
    for nodes, constants, shape, *_ in hosts.HOSTS.values():
        graph = hosts.graph_of_onnx(hosts.saved(hosts.model_of(nodes, constants, shape), tmp_path))
        require_kept(graph, torch.randn(shape))


def test_attributes_of_onnx_come_back(tmp_path: Path) -> None:
    models = pytest.importorskip("onnx_models")
    nodes = [
        models.node("GRU", "x3", "w", "r", output="g", hidden_size=2, activations=["Sigmoid", "Tanh"], clip=3.5),
        models.node("Shape", "x", output="s"),
        models.node("Unsqueeze", "x", "zero", output="x3"),
    ]
    constants = [models.constant("w", 1, 6, 6), models.constant("r", 1, 6, 2), models.numbers("zero", 0)]
    model = models.model_of([nodes[2], nodes[0]], constants, outputs=("g",))
    graph = models.graph_of_onnx(models.saved(model, tmp_path))
    require_kept(graph, torch.randn(ROW))


def test_names_are_of_functions_that_are_there() -> None:
    """No operation that writes, or reads a file, has slipped in; every name is one of this PyTorch."""
    for name in sorted(ATEN):
        packet = getattr(torch.ops.aten, name)
        assert any(not getattr(packet, overload)._schema.is_mutable for overload in packet.overloads()), name
        assert "file" not in name
    onnx = pytest.importorskip("onnx")
    assert {name for name in ONNX if not onnx.defs.has(name)} == set()


@pytest.mark.parametrize(
    "name",
    [
        *("aten.from_file.default", "aten.topk.values", "aten.topk", "aten.topk.__class__", "aten.add_.Tensor"),
        *("prims.sin.default", "aten.none.default", "os.system", "cuda", "float32", "", 3, None, ["cpu"]),
    ],
)
def test_other_names_are_of_nothing(name: object) -> None:
    assert named(name) is None


def test_names_are_those_of_the_values() -> None:
    for value in (torch.ops.aten.topk.default, *PLACES.values()):
        assert named(name_of(value)) == value
    for value in (torch.ops.aten.add_.Tensor, torch.device("meta"), torch.sparse_coo, torch.float32, "cpu", object()):
        assert name_of(value) is None


def test_what_has_no_name_is_refused_by_its_node() -> None:
    x = values(*ROW)
    graph = graph_of(Applied(lambda x: torch.ops.ssvq_test.twice(x) + 1), (x,))
    assert torch.equal(execute(graph, x)[0], x * 2 + 1)
    with pytest.raises(GraphError, match=r"^twice: a file must name what the host runs, and cannot name ssvq_test.tw"):
        require_storable(graph)
    with pytest.raises(NetworkFileError, match="twice: a file must name"):
        network_to_bytes(host_model(graph, x))


def test_what_no_file_holds_is_refused_by_its_node() -> None:
    graph = graph_of(Applied(lambda x: torch.atan2(x, torch.ones(6).half())), (values(*ROW),))
    with pytest.raises(GraphError, match=r"^atan2: a file must hold aten.atan2.default: .* tensors of float16"):
        require_storable(graph)


def test_compile_refuses_before_anything_is_made(tmp_path: Path) -> None:
    path = model_file(tmp_path)
    path.write_text(
        path.read_text()
        + """
class Twice(nn.Module):
    def forward(self, x):
        return torch.ops.ssvq_test.twice(x)

def custom():
    return nn.Sequential(nn.Linear(8, 8), Twice())
"""
    )
    given = ["compile", f"file:{path}:custom", "--input-shape", "1,4,8", "-o", tmp_path / "x.ssvqnet"]
    assert "error: 1: a file must name what the host runs, and cannot name ssvq_test.twice" in refused(run(*given))
    assert not (tmp_path / "x.ssvqnet").exists()


def function_of(tree: Any) -> Any:
    """The function of the first host, in place."""
    (part,) = tree["CompiledModel"]["network"]["PartitionedNetwork"]["parts"]
    (host,) = (node["Node"]["operator"]["Host"] for node in part["HostPart"]["graph"]["Graph"]["nodes"])
    return host["function"]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"operation": {"torch": "aten.from_file.default"}}, "there is no 'aten.from_file.default' of PyTorch"),
        ({"operation": {"torch": "aten.sort.__class__"}}, "there is no 'aten.sort.__class__' of PyTorch"),
        ({"operation": "aten.sort.default"}, "operation must be OpOverload, not str"),
        ({"operation": {"torch": "cpu"}}, "operation must be OpOverload, not device"),
        ({"keywords": {"map": [[1, 1]]}}, "keywords must be .*Mapping"),
    ],
)
def test_a_file_cannot_name_others(change: dict[str, Any], rule: str) -> None:
    x = values(*ROW)
    content = network_to_bytes(host_model(graph_of(Applied(lambda x: x.sort(1).values), (x,)), x))
    with pytest.raises(NetworkFileError, match=rule):
        network_from_bytes(changed(content, lambda tree: function_of(tree)["TorchFunction"].update(change)))


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": []},
        {"arguments": ["x", "y"]},
        {"arguments": [{"Operand": {"position": 7}}, 1]},
        {"arguments": [{"Operand": {"position": 0}}, 1 << 70]},
        {"keywords": {"map": [["none", 1]]}},
        {"result": 9},
        {"result": None},
        {"operation": {"torch": "aten.topk.default"}},
        {"operation": {"torch": "aten.sum.default"}, "arguments": [{"Operand": {"position": 0}}], "result": None},
    ],
)
def test_a_function_that_fails_is_one_error_of_its_node(change: dict[str, Any]) -> None:
    x = values(*ROW)
    content = network_to_bytes(host_model(graph_of(Applied(lambda x: x.sort(1).values), (x,)), x))
    edited = changed(content, lambda tree: function_of(tree)["TorchFunction"].update(change))
    with pytest.raises(GraphError, match=r"^sort: "):
        network_from_bytes(edited).network.run_reference((x,))


def test_an_operation_of_onnx_that_no_file_may_name(tmp_path: Path) -> None:
    models = pytest.importorskip("onnx_models")
    model = models.model_of([models.node("CumSum", "x", "axis")], [models.scalar("axis", 1, int)])
    graph = models.graph_of_onnx(models.saved(model, tmp_path))
    x = torch.randn(ROW)
    content = network_to_bytes(host_model(graph, x))
    edited = changed(content, lambda tree: function_of(tree)["OnnxFunction"].update(operation="ImageDecoder"))
    with pytest.raises(NetworkFileError, match="a file must name what the host runs, and cannot name onnx.CumSum"):
        network_from_bytes(edited)
    (node,) = graph.nodes
    assert isinstance(node.operator, ops.Host)
    other = replace(node, operator=replace(node.operator, function=torch.neg))
    with pytest.raises(GraphError, match="cannot name onnx.CumSum"):
        require_storable(replace(graph, nodes=(other,)))


def test_compiled_with_hosts_and_run_from_the_file(tmp_path: Path) -> None:
    path = model_file(tmp_path)
    path.write_text(
        path.read_text()
        + """
class Chosen(nn.Module):
    '''PReLU, and the largest two, between layers.'''

    def __init__(self):
        super().__init__()
        self.first, self.act, self.second = nn.Linear(8, 8), nn.PReLU(), nn.Linear(2, 8)

    def forward(self, x):
        return self.second(self.act(self.first(x)).topk(2).values)

def chosen():
    return Chosen()
"""
    )
    file = tmp_path / "chosen.ssvqnet"
    given = ["compile", f"file:{path}:chosen", "--input-shape", "1,4,8", "-o", file, "--config", "tiny"]
    result = run(*given, "--format", "int8")
    assert result.exit_code == 0, result.output
    about = run("run", file, "--json")
    assert about.exit_code == 0, about.output
    (output,) = json.loads(about.output)["outputs"]
    assert output["cosine_to_float"] > 0.99
