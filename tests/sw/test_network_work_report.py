"""The report of work: counts that can be checked by hand."""

from __future__ import annotations

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from ssvq.network import Node, graph_of, work_report
from ssvq.network import operators as ops
from ssvq.network.work_report import host_reason


class Network(nn.Module):
    """A convolution, a transposed one, sorted rows, a linear layer and a product."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 6, 3, groups=2, stride=2)
        self.up = nn.ConvTranspose2d(6, 4, 2, groups=2, bias=False)
        self.fc = nn.Linear(4, 5, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.up(self.conv(x).relu())
        ordered = x.sort(-1).values
        y = self.fc(ordered)
        return y @ y.transpose(-1, -2), ordered


def plain(table: Table) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_counts() -> None:
    graph = graph_of(Network(), (torch.zeros(2, 4, 7, 7),))
    report = work_report(graph)
    found = {node.name: (node.macs, node.weights, node.activation_bytes) for node in report.nodes}
    assert found["conv"] == (2 * 6 * 3 * 3 * (2 * 3 * 3), 6 * 2 * 9 + 6, 2 * 6 * 3 * 3)
    assert found["relu"] == (0, 0, 2 * 6 * 3 * 3)
    assert found["up"] == (2 * 6 * 3 * 3 * (2 * 2 * 2), 6 * 2 * 4, 2 * 4 * 4 * 4)
    assert found["fc"] == (2 * 4 * 4 * 5 * 4, 20, 2 * 4 * 4 * 5)
    assert found["matmul"] == (2 * 4 * 4 * 4 * 5, 0, 2 * 4 * 4 * 4)
    assert report.macs == 1944 + 864 + 640 + 640
    assert report.weights == 114 + 48 + 20


def test_bytes_that_cross() -> None:
    report = work_report(graph_of(Network(), (torch.zeros(2, 4, 7, 7),)))
    (sort,) = report.on_host
    assert (sort.name, sort.operation, sort.bytes_in, sort.bytes_out) == ("sort", "aten.sort.default", 128, 128)
    assert (report.to_host_bytes, report.from_host_bytes) == (128, 128)
    assert (report.input_bytes, report.output_bytes) == (2 * 4 * 7 * 7, 2 * 4 * 4 * 4)
    assert report.host_share == 0


def test_what_crosses_twice_counts_once() -> None:
    graph = graph_of(nn.Sequential(nn.ReLU(), Twice()), (torch.zeros(2, 6),))
    report = work_report(graph)
    assert [node.bytes_in for node in report.on_host] == [12, 0]
    assert report.to_host_bytes == 12
    assert report.from_host_bytes == 24


class Twice(nn.Module):
    """Two operations of the host on one value."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flip(1) + x.cumsum(1)


def test_a_core_that_does_less() -> None:
    """Nodes that a core lacks count as the host's, and so do their multiplications."""

    def reason(node: Node) -> str | None:
        return "no products" if isinstance(node.operator, ops.MatMul) else host_reason(node)

    report = work_report(graph_of(Network(), (torch.zeros(2, 4, 7, 7),)), reason=reason)
    assert [(node.name, node.host_reason) for node in report.on_host] == [
        ("sort", "it is not in the operator set"),
        ("matmul", "no products"),
    ]
    assert report.host_share == 640 / 4088
    assert report.output_bytes == 0
    assert report.to_host_bytes == 128 + 160 + 160  # y, and y transposed
    assert report.from_host_bytes == 128


def test_tables() -> None:
    report = work_report(graph_of(Network(), (torch.zeros(2, 4, 7, 7),)))
    table = plain(report.table())
    assert "4,088" in table
    assert "1 on the host" in table
    assert "0.0% of MACs" in table
    host = plain(report.host_table())
    assert "aten.sort.default" in host
    assert "it is not in the operator set" in host
    assert "conv" not in host
