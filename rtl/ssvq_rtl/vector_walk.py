"""Reads what a vector operation needs from the activation memory, in the order in which it is used."""

from enum import IntEnum

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import TABLE_ENTRIES, TABLE_ENTRY_BYTES, ParameterPlane, TableUse

from .activation_memory import ReadPort
from .checks import require_config
from .vector_command import Element, Operation, Phase, VectorCommand
from .vector_parameters import PLANE_POSITIONS, VectorParameters
from .vector_windows import VectorWindows

DRAIN_CYCLES = 28
"""Cycles after which nothing of what was read before is on its way: a phase ends."""
CHANGE_CYCLES = 8
"""Cycles after which what was read before needs no parameters any more: those of the next group may be read."""
MIN_TOKENS = 4
"""Cycles from one group of an activation's channels to the next: the sums are read, added to and written."""


class Arrival(IntEnum):
    """What a word of the activation memory is for."""

    TABLE = 0
    PARAMETER = 1
    FIRST = 2
    SECOND = 3
    WEIGHT = 4


class ArrivedWord(data.StructLayout):
    """Comes with a word of the activation memory.

    kind : what the word is for
    slot : the channels' place in it
    position : PARAMETER: which byte of the parameters it has; WEIGHT: of which tap it is
    element : of FIRST and SECOND; of a WEIGHT its place
    complete : all operands of the element are there
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "kind": Arrival,
                "slot": range(max(config.vector_slots, 2)),
                "position": range(PLANE_POSITIONS),
                "element": Element(config),
                "complete": 1,
            }
        )


class VectorWalk(wiring.Component):
    """For every phase, every group of `vector_lanes` channels, every activation. Parameters are read for each group.

    One word a cycle, as far as the memory grants it.

    Members
    -------
    commands : `VectorCommand`, taken when the one before has ended
    read : activation memory
    may_output : In, there is room for an output
    outputs_pending : In, outputs are not written yet
    busy, command, phase : what is worked on
    takes_output : an element is read whose output will need room
    arrives, arrived : with the word of a read
    root_valid, root_token : ROOTS: the sums of this activation are due
    ends : pulse, all outputs of the command are written
    error, error_addr : an address is outside the activation memory; stays until reset
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "commands": In(stream.Signature(VectorCommand())),
                "read": Out(ReadPort(config)),
                "may_output": In(1),
                "outputs_pending": In(1),
                "busy": Out(1),
                "command": Out(VectorCommand()),
                "phase": Out(Phase),
                "takes_output": Out(1),
                "arrives": Out(1),
                "arrived": Out(ArrivedWord(config)),
                "root_valid": Out(1),
                "root_token": Out(16),
                "ends": Out(1),
                "error": Out(1),
                "error_addr": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, command, phase = self._config, self.command, self.phase
        lanes, slots = config.vector_lanes, config.vector_slots
        entries = config.word_bytes // TABLE_ENTRY_BYTES

        m.submodules.windows = windows = VectorWindows()
        m.submodules.parameters = parameters = VectorParameters(config=config)
        second, group_second = Signal(33), Signal(33)  # addresses: the next one, of the group's first activation
        table = Signal(33)
        token = Signal(16)
        group = Signal(16)
        slot = Signal(range(max(slots, 2)))
        is_second = Signal()
        pause = Signal(range(max(DRAIN_CYCLES, entries) + 1))
        table_words = Signal(range(TABLE_ENTRIES * TABLE_ENTRY_BYTES // config.word_bytes + 1))

        last_token = token == command.tokens - 1
        last_group = group == (command.channels - 1) >> (lanes.bit_length() - 1)
        last_slot = slot == slots - 1
        has_weights = (command.operation == Operation.DEPTHWISE) if config.depthwise_taps else 0
        address = Signal(33)
        reads = Signal()
        outside = Signal()  # what is needed is not in the memory
        granted = Signal()
        read = Signal(ArrivedWord(config))
        outputs = phase == Phase.OUTPUTS
        wants_parameters = Signal()
        m.d.comb += [
            wants_parameters.eq(
                Mux(outputs, command.planes != 0, (command.planes & ParameterPlane.GAIN_SHIFT.value) != 0)
                & (phase != Phase.LARGEST)
                | has_weights
            ),
            windows.command.eq(command),
            windows.last_token.eq(last_token),
            windows.next_word.eq(last_slot),
            parameters.command.eq(command),
            parameters.next_word.eq(last_slot),
            self.read.addr.eq(address),
            self.read.en.eq(reads & ~outside & (address < config.activation_depth) & ~self.error),
            granted.eq(Mux(outside, reads & ~self.error, self.read.en & self.read.ready)),
            read.slot.eq(slot),
            read.position.eq(Mux(parameters.is_weight, parameters.tap, parameters.position)),
            read.element.token.eq(token),
            read.element.opens.eq(group == 0),
            read.element.last_lane.eq(Mux(last_group, command.channels - 1, ~0)),
            read.element.place.eq(windows.place),
            read.complete.eq(is_second | ~command.has_second),
        ]
        m.d.sync += [self.arrives.eq(granted), self.arrived.eq(read), self.root_valid.eq(0), self.ends.eq(0)]
        with m.If(reads & ~outside & (address >= config.activation_depth) & ~self.error):
            m.d.sync += [self.error.eq(1), self.error_addr.eq(address)]
        with m.If(pause != 0):
            m.d.sync += pause.eq(pause - 1)

        with m.FSM():
            with m.State("TAKE"):
                m.d.comb += self.commands.ready.eq(1)
                m.d.sync += [command.eq(self.commands.payload), table_words.eq(0)]
                m.d.sync += table.eq(self.commands.payload.table)
                with m.If(self.commands.valid):
                    m.d.sync += self.busy.eq(1)
                    with m.Switch(self.commands.payload.operation):
                        with m.Case(Operation.LAYERNORM):
                            m.d.sync += phase.eq(Phase.TOTALS)
                        with m.Case(Operation.SOFTMAX):
                            m.d.sync += phase.eq(Phase.LARGEST)
                        with m.Default():
                            m.d.sync += phase.eq(Phase.OUTPUTS)
                    m.next = "PHASE"
                    with m.If(self.commands.payload.table_use == TableUse.LOAD):
                        m.next = "TABLE"
            with m.State("TABLE"):
                m.d.comb += [address.eq(table), reads.eq(pause == 0), read.kind.eq(Arrival.TABLE)]
                with m.If(granted):
                    m.d.sync += [table.eq(table + 1), table_words.eq(table_words + 1), pause.eq(entries)]
                    with m.If(table_words == TABLE_ENTRIES * TABLE_ENTRY_BYTES // config.word_bytes - 1):
                        m.next = "TABLE END"
            with m.State("TABLE END"), m.If(pause == 0):
                m.next = "PHASE"
            with m.State("PHASE"):
                m.d.comb += [windows.start.eq(1), parameters.start.eq(1)]
                m.d.sync += [group.eq(0), slot.eq(0), token.eq(0)]
                m.d.sync += [register.eq(command.second_source) for register in (second, group_second)]
                m.next = "GROUP"
                with m.If(phase == Phase.ROOTS):
                    m.next = "ROOTS"
            with m.State("GROUP"):
                m.next = "ELEMENTS"
                with m.If(wants_parameters):
                    m.next = "PARAMETERS"
            with m.State("PARAMETERS"):
                m.d.comb += [
                    address.eq(parameters.address),
                    reads.eq(parameters.present),
                    read.kind.eq(Mux(parameters.is_weight, Arrival.WEIGHT, Arrival.PARAMETER)),
                    read.element.place.weight.eq(parameters.weight),
                    parameters.advance.eq(granted | ~parameters.present),
                ]
                with m.If(parameters.advance & parameters.last):
                    m.next = "ELEMENTS"
            with m.State("ELEMENTS"):
                m.d.comb += [
                    address.eq(Mux(is_second, second, windows.address)),
                    outside.eq(~is_second & windows.place.outside),
                    reads.eq((pause == 0) & (~outputs | self.may_output | is_second)),
                    read.kind.eq(Mux(is_second, Arrival.SECOND, Arrival.FIRST)),
                    windows.advance.eq(granted & read.complete),
                    self.takes_output.eq(granted & outputs & ~is_second & windows.place.closes),
                ]
                with m.If(granted & command.has_second):
                    m.d.sync += is_second.eq(~is_second)
                with m.If(windows.advance & windows.place.closes):
                    m.d.sync += [second.eq(second + command.second_stride), token.eq(token + 1)]
                    with m.If(last_token):
                        m.d.sync += [token.eq(0), group.eq(group + 1), slot.eq(slot + 1 if slots > 1 else 0)]
                        following = group_second + last_slot
                        m.d.sync += [second.eq(following), group_second.eq(following)]
                        with m.If(command.tokens < MIN_TOKENS):
                            m.d.sync += pause.eq(MIN_TOKENS)
                        with m.If(wants_parameters):
                            m.d.sync += pause.eq(CHANGE_CYCLES)
                            m.next = "DRAIN"
                        with m.If(last_group):
                            m.d.sync += pause.eq(DRAIN_CYCLES)
                            m.next = "PHASE END"
            with m.State("DRAIN"), m.If(pause == 0):
                m.next = "GROUP"
            with m.State("ROOTS"):
                m.d.sync += [self.root_valid.eq(1), self.root_token.eq(token), token.eq(token + 1)]
                with m.If(last_token):
                    m.d.sync += pause.eq(DRAIN_CYCLES)
                    m.next = "PHASE END"
            with m.State("PHASE END"):
                with m.If((pause == 0) & outputs & ~self.outputs_pending):
                    m.d.sync += [self.busy.eq(0), self.ends.eq(1)]
                    m.next = "TAKE"
                with m.Elif((pause == 0) & ~outputs):
                    m.d.sync += phase.eq(phase + 1)
                    m.next = "PHASE"
        return m
