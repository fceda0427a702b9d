"""Which nodes go to the host, in which parts, and that parts together compute what the graph does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from ssvq.network import Graph, GraphError, Node, execute, graph_of, work_report
from ssvq.network.calibration import calibrate
from ssvq.network.compression import compress_graph
from ssvq.network.hosting.assembly import Assembled, assemble, core_candidates
from ssvq.network.hosting.partition import MOVED_BEFORE, ONLY_MOVEMENT, Partition, core_reason, partition
from ssvq.network.tensor_type import TensorType
from ssvq.network.work_report import host_reason
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq_gen.config import PRESETS, CoreConfig

TINY = PRESETS["tiny"]
INT8 = QuantizeConfig(format=WeightFormat.INT8)


class Module(nn.Module):
    """Layers `a`, `b` and `c` of 8 channels and a table, in whatever order a test needs."""

    def __init__(self, function: Callable[[Module, Tensor], object]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self._function = function
        self.table = nn.Embedding(20, 8)
        self.a, self.b, self.c = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: Tensor) -> object:
        """Anything."""
        return self._function(self, x)


ROWS = torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(1))
IDS = torch.arange(6)[None]


def graph(function: Callable[[Module, Tensor], object], x: Tensor = ROWS) -> Graph:
    return graph_of(Module(function).eval(), (x,))


def assembled(made: Graph, x: Tensor = ROWS, config: CoreConfig = TINY, *, strict: bool = False) -> Assembled:
    layers = compress_graph(core_candidates(made, config), lambda node: INT8)
    return assemble(made, calibrate(made, [(x,)]), layers, config, strict=strict)


def names(split: Partition) -> list[tuple[str, list[str]]]:
    return [(part.name, [node.name for node in part.graph.nodes]) for part in split.parts]


def test_look_up_and_argmax_leave_the_core_in_one_part() -> None:
    made = graph(lambda m, ids: m.b(torch.relu(m.a(m.table(ids)))).argmax(2), IDS)
    split = partition(made, core_reason(made, TINY))
    assert names(split) == [("host 0", ["table"]), ("core 0", ["a", "relu", "b"]), ("host 1", ["argmax"])]
    assert split.reasons["table"] == "a look-up in a table is the host's"


def test_what_does_not_wait_for_the_host_is_in_the_first_part() -> None:
    made = graph(lambda m, x: m.c(m.a(x).sort(1).values) + m.b(x))
    split = partition(made, core_reason(made, TINY))
    assert names(split) == [("core 0", ["a", "b"]), ("host 0", ["sort"]), ("core 1", ["c", "add"])]
    assert list(split.parts[2].graph.inputs) == ["sort", "b"]
    assert dict(split.parts[0].graph.outputs) == {"a": "a", "b": "b"}


def test_a_postfix_of_a_value_in_the_middle_does_not_split() -> None:
    made = graph(lambda m, x: (m.b(m.a(x)), m.a(x).argmax(2)))
    split = partition(made, core_reason(made, TINY))
    assert [name for name, _ in names(split)] == ["core 0", "host 0"]


def test_movement_alone_is_no_part_of_the_core() -> None:
    made = graph(lambda m, x: (m.a(x), x.transpose(1, 2), x[:, 1:].sort(1).values))
    split = partition(made, core_reason(made, TINY))
    hosted = {node.name for node in made.nodes} - {"a"}
    assert set(split.reasons) == hosted
    assert list(split.reasons.values()).count(ONLY_MOVEMENT) == 2


def test_movement_of_what_the_core_computed_stays_there() -> None:
    made = graph(lambda m, x: m.a(x)[:, :1].argmax(2))
    split = partition(made, core_reason(made, TINY))
    assert len(split.reasons) == 1
    assert split.parts[0].graph.type_of(next(iter(split.parts[0].graph.outputs))).shape == (1, 1, 8)


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda m, ids: (m.b(torch.relu(m.a(m.table(ids)))), m.c(m.a(m.table(ids))).argmax(2)), IDS),
        (lambda m, x: m.c(m.a(x).sort(1).values) + m.b(x), ROWS),
        (lambda m, x: (m.a(x).softmax(1), m.b(m.a(x).softmax(1)), x), ROWS),
        (lambda m, x: m.a(x).transpose(1, 2), ROWS),
    ],
)
def test_parts_compute_what_the_graph_does(function: Callable[[Module, Tensor], object], x: Tensor) -> None:
    made = graph(function, x)
    whole = assembled(made, x)
    found = whole.network.run_reference((x,))
    assert list(found) == list(made.outputs)
    for values, expected in zip(found.values(), execute(made, x), strict=True):
        assert values.dtype == expected.dtype
        assert values.shape == expected.shape
        if expected.is_floating_point():
            assert float((values - expected).abs().max()) <= 0.04 * float(expected.abs().max())
        else:
            assert float((values == expected).float().mean()) >= 0.8


def test_a_network_without_host_operators_is_one_part() -> None:
    whole = assembled(graph(lambda m, x: m.b(torch.relu(m.a(x)))))
    assert [part.name for part in whole.network.parts] == ["core 0"]
    assert not whole.partition.reasons


def test_what_lowering_refuses_goes_to_the_host_with_its_reason() -> None:
    made = graph(lambda m, x: m.b(m.a(x).softmax(1)))
    whole = assembled(made)
    assert dict(whole.partition.reasons) == {"softmax": "Softmax must be over the channels of each activation"}
    report = work_report(made, reason=whole.partition.reason)
    assert [(node.name, node.bytes_in, node.bytes_out) for node in report.on_host] == [("softmax", 48, 48)]


@pytest.mark.parametrize(
    ("function", "unit", "change"),
    [
        (lambda m, x: m.b(torch.nn.functional.gelu(m.a(x))), "vector unit", {"vector": False}),
        (lambda m, x: m.a(x) + m.b(x), "vector unit", {"vector": False}),
        (lambda m, x: m.a(x) @ m.b(x).transpose(1, 2), "products of activations", {"attention": False}),
    ],
)
def test_a_core_without_a_unit(
    function: Callable[[Module, Tensor], object], unit: str, change: dict[str, bool]
) -> None:
    config = TINY.replace(name="lean", **{"vector_lanes": 0, **change} if "vector" in change else change)
    made = graph(function)
    assert not assembled(made).partition.reasons
    (reason,) = assembled(made, config=config).partition.reasons.values()
    assert reason == f"the core lean has no {unit}"


@pytest.mark.parametrize(
    ("function", "x", "rule"),
    [
        (lambda m, ids: m.a(m.table(ids)), IDS, "^table: Embedding must run on the core: a look-up in a table is"),
        (lambda m, x: m.a(x).sort(1).values, ROWS, "^sort: aten.sort.default must run on the core: it is not in the"),
        (lambda m, x: m.a(x).softmax(1), ROWS, "^softmax: Softmax must run on the core: Softmax must be over the"),
    ],
)
def test_strict(function: Callable[[Module, Tensor], object], x: Tensor, rule: str) -> None:
    made = graph(function, x)
    with pytest.raises(GraphError, match=rule):
        assembled(made, x, strict=True)


CONVOLUTIONS: dict[str, Callable[[], nn.Module]] = {
    "each pixel": lambda: nn.Conv2d(16, 16, 1, groups=2),
    "transposed": lambda: nn.ConvTranspose2d(16, 16, 2, stride=2),
    "transposed, each pixel": lambda: nn.ConvTranspose2d(16, 16, 1),
    "windows": lambda: nn.Conv2d(16, 16, 3, groups=2),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_core_without_convolutions_leaves_them_to_the_host(name: str) -> None:
    """Also those of which each step is a part."""
    config = TINY.replace(name="matrices", convolution=False)
    x = torch.randn(1, 16, 4, 4)
    made = assembled(graph_of(nn.Sequential(nn.Conv2d(16, 16, 1), CONVOLUTIONS[name]()).eval(), (x,)), x, config)
    assert made.partition.reasons == {"1": "the core matrices has no convolutions"}


def test_the_host_moves_what_it_gives() -> None:
    made = graph(lambda m, x: m.b(m.a(x).sort(1).values.transpose(1, 2).flip(1).transpose(1, 2)))
    whole = assembled(made)
    assert [part.name for part in whole.network.parts] == ["core 0", "host 0", "core 1"]
    x = torch.randn(1, 8, 6)
    made = graph(lambda m, rows: m.a(rows.transpose(1, 2)), x)
    whole = assembled(made, x)
    assert dict(whole.partition.reasons) == {"transpose": MOVED_BEFORE}
    (values,) = whole.network.run_reference((x,)).values()
    assert float((values - execute(made, x)[0]).abs().max()) < 0.05


def test_weights_in_a_format_that_the_core_lacks_are_an_error() -> None:
    made = graph(lambda m, x: m.b(m.a(x)))
    layers = compress_graph(made, lambda node: QuantizeConfig(format=WeightFormat.INT4))
    with pytest.raises(GraphError, match="^a: format int4 cannot run on the core tiny, only int8, ssvq, vq$"):
        assemble(made, calibrate(made, [(ROWS,)]), layers, TINY)


def test_strict_alone() -> None:
    made = graph(lambda m, x: m.a(x).sort(1).values)
    with pytest.raises(GraphError, match="sort"):
        partition(made, host_reason, strict=True)

    def none(node: Node) -> str | None:
        return None

    assert len(partition(made, none, strict=True).parts) == 1


def test_what_does_not_fit_is_an_error_and_not_the_hosts() -> None:
    config = TINY.replace(name="small", activation_bytes=256)
    x = torch.randn(1, 40, 8)
    with pytest.raises(GraphError, match="the activation memory of 32|the activation memory has 32"):
        assembled(graph(lambda m, rows: m.a(rows) @ m.b(rows).transpose(1, 2), x), x, config)


def test_inputs_are_checked() -> None:
    network = assembled(graph(lambda m, x: m.a(x))).network
    with pytest.raises(GraphError, match=r"^inputs: there must be 1 \(x\), not 2$"):
        network.run_reference((ROWS, ROWS))
    with pytest.raises(GraphError, match=r"^x: the input must be float32 \(1, 6, 8\), not float32 \(6, 8\)$"):
        network.run_reference((ROWS[0],))


@pytest.mark.parametrize("value", [ROWS.long(), ROWS[:, :3]], ids=["whole numbers", "fewer"])
def test_what_the_core_is_given_is_checked(value: Tensor) -> None:
    """A file may claim that its input is anything."""
    network = assembled(graph(lambda m, x: m.a(x))).network
    claimed = replace(network, inputs={"x": TensorType.of(value)})
    with pytest.raises(
        GraphError, match=r"^core 0: x must have the numbers of float32 \(\d, 6, 8\), or as many bools, not"
    ):
        claimed.run_reference((value,))
