"""The blocks that are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from amaranth.lib.wiring import Component

from ssvq_gen.config import PRESETS
from ssvq_rtl.accumulator import AccumulatorMemory
from ssvq_rtl.activation_memory import ActivationMemory
from ssvq_rtl.axi_lite import AxiLiteSlave
from ssvq_rtl.burst_splitter import BurstSplitter
from ssvq_rtl.counters import Counters
from ssvq_rtl.decoder import Decoder
from ssvq_rtl.descriptor_check import DescriptorCheck
from ssvq_rtl.descriptor_fetch import DescriptorFetch
from ssvq_rtl.dispatcher import Dispatcher
from ssvq_rtl.executor import Executor
from ssvq_rtl.feeder import Feeder
from ssvq_rtl.job_control import JobControl
from ssvq_rtl.load import LoadEngine
from ssvq_rtl.mac_row import MacRow
from ssvq_rtl.matrix_walk import MatrixWalk
from ssvq_rtl.monitor import Monitor
from ssvq_rtl.operand import OperandLoader
from ssvq_rtl.operand_words import OperandWords
from ssvq_rtl.parameters import ParameterCollector
from ssvq_rtl.profiler import Profiler
from ssvq_rtl.read_arbiter import ReadArbiter
from ssvq_rtl.register_file import RegisterFile
from ssvq_rtl.requantizer import Requantizer
from ssvq_rtl.resize import StreamResizer
from ssvq_rtl.row_shadow import RowShadow
from ssvq_rtl.scoreboard import Scoreboard
from ssvq_rtl.store import StoreEngine
from ssvq_rtl.unpacker import Unpacker
from ssvq_rtl.vector_parameters import VectorParameters
from ssvq_rtl.vector_walk import VectorWalk
from ssvq_rtl.vector_window_sums import VectorWindowSums
from ssvq_rtl.vector_windows import VectorWindows
from ssvq_rtl.weight_cache import WeightCache
from ssvq_rtl.weight_stream import WeightStream
from ssvq_rtl.window_walk import WindowWalk
from ssvq_rtl.writeback import Writeback

CONFIG = PRESETS["tiny"]


class Outside(StrEnum):
    """What stays outside of a comparison: what goes into it has to be the same, what comes out may be anything."""

    MEMORIES = "memories"
    """With the registers of their read ports. The models of most RAM blocks are empty, and where they are not a
    comparison would have thousands of registers more; memories are simulated, as RAM cells too."""
    MULTIPLIERS = "multipliers"
    """DSP blocks; solvers do not see through products."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block.

    Parameters
    ----------
    name : on the command line
    part : part of the core
    build : the component
    outside : what it has and is compared without
    """

    name: str
    part: str
    build: Callable[[], Component]
    outside: tuple[Outside, ...] = ()


def _block(part: str, name: str, build: Callable[..., Component], *outside: Outside, **arguments: object) -> Block:
    return Block(name=name, part=part, build=partial(build, **arguments), outside=outside)


def _of_tiny(part: str, name: str, build: Callable[..., Component], *outside: Outside, **arguments: object) -> Block:
    return _block(part, name, build, *outside, config=CONFIG, **arguments)


_MEM, _MUL = Outside
BLOCKS: tuple[Block, ...] = (
    _of_tiny("DMA", "burst_splitter", BurstSplitter),
    _of_tiny("DMA", "load", LoadEngine),
    _of_tiny("DMA", "store", StoreEngine, _MEM),
    _of_tiny("DMA", "weight_stream", WeightStream, _MEM),
    _of_tiny("DMA", "weight_cache", WeightCache, _MEM),
    _of_tiny("DMA", "read_arbiter", ReadArbiter, _MEM),
    _of_tiny("DMA", "descriptor_fetch", DescriptorFetch),
    _of_tiny("sequencer", "descriptor_check", DescriptorCheck),
    _of_tiny("sequencer", "dispatcher", Dispatcher, _MEM),
    _of_tiny("sequencer", "executor", Executor),
    _of_tiny("sequencer", "job_control", JobControl),
    _of_tiny("sequencer", "scoreboard", Scoreboard),
    _block("registers", "axi_lite", AxiLiteSlave),
    _of_tiny("registers", "register_file", RegisterFile),
    _block("registers", "counters", Counters),
    _of_tiny("registers", "monitor", Monitor, _MEM),
    _of_tiny("registers", "profiler", Profiler, _MEM),
    _of_tiny("weights", "resizer", StreamResizer),
    _of_tiny("weights", "unpacker", Unpacker),
    _of_tiny("weights", "decoder", Decoder, _MEM),
    _of_tiny("weights", "parameters", ParameterCollector, _MEM),
    _of_tiny("weights", "operand_words", OperandWords),
    _of_tiny("weights", "operand_loader", OperandLoader),
    _of_tiny("activations", "feeder", Feeder),
    _of_tiny("activations", "matrix_walk", MatrixWalk),
    _of_tiny("activations", "window_walk", WindowWalk),
    _of_tiny("activations", "activation_memory", ActivationMemory, _MEM, readers=4, writers=3),
    _of_tiny("activations", "writeback", Writeback, _MEM, _MUL),
    _of_tiny("vector unit", "vector_walk", VectorWalk),
    _of_tiny("vector unit", "vector_parameters", VectorParameters),
    _block("vector unit", "vector_windows", VectorWindows),
    _of_tiny("vector unit", "vector_window_sums", VectorWindowSums, _MEM, _MUL),
    _of_tiny("array", "row_shadow", RowShadow),
    _of_tiny("array", "accumulator", AccumulatorMemory, _MEM),
    _of_tiny("array", "mac_row", MacRow, _MUL),
    _of_tiny("array", "requantizer", Requantizer, _MUL),
)
"""All of them, in the order of the table."""

_WHOLE = "its parts are compared"
_DATAPATH = "multipliers, and registers around them: synthesis moves these into DSP blocks; simulation compares them"
LEFT_OUT: dict[str, str] = {
    "Ecp5MacRow": "made of ECP5's own cells; `make formal` proves it equal to `mac_row`",
    "Ecp5Multiplier": "the same",
    "MacArray": "rows like `mac_row`",
    "MatmulEngine": _WHOLE,
    "PackedSegment": "for Xilinx only; `make formal` proves it",
    "SsvqCore": _WHOLE,
    "VectorEngine": _WHOLE,
    "VectorLanes": _DATAPATH,
    "VectorOutput": "a FIFO; Amaranth makes no Verilog of it alone, as one of its ports is a constant",
    "VectorRoots": _DATAPATH,
    "VectorStatistics": "its table of lines becomes block RAM with contents, of which Yosys has no model",
    "WidthConverter": "`resizer` is one",
    "_StepBuffer": "part of `operand_loader`",
}
"""Components of `ssvq_rtl` that are no blocks here, and why."""
