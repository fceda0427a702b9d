"""Sums and largest values over the channels of every activation, and the roots made of them."""

from collections.abc import Callable

from amaranth.hdl import Module, Mux, ShapeLike, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ssvq_gen.arithmetic import ACTIVATION_MIN
from ssvq_gen.config import CoreConfig

from .checks import require_config
from .vector_command import Element, Operation, Phase, VectorCommand, has_channel
from .vector_roots import CENTRE_WIDTH, CENTRED_WIDTH, SQUARES_WIDTH, TOTAL_WIDTH, Root, VectorRoots

Join = Callable[[Value, Value], Value]

SQUARE_WIDTH = 2 * CENTRED_WIDTH - 1
"""Bits of a channel's square, and enough for a weight."""
LEVELS = 2
"""Levels of a tree of channels in a cycle."""


class LaneValues(data.StructLayout):
    """A value for each lane, those of an `element` when `valid`."""

    def __init__(self, config: CoreConfig, shape: ShapeLike) -> None:
        values = data.ArrayLayout(shape, config.vector_lanes)
        super().__init__({"valid": 1, "element": Element(config), "values": values})


class VectorStatistics(wiring.Component):
    """Memories of `accumulator_depth` activations. An activation's values come at least `vector_walk.MIN_TOKENS` apart.

    Members
    -------
    command, phase : In, what is worked on
    activations : In, `LaneValues` of int8; lanes without a channel count as the smallest
    centred, squares : In, `LaneValues`; lanes without a channel must be zero
    root_valid, root_token : In, make the root of this activation
    token : In, an activation whose values are wanted
    centre, root : one cycle later: its mean, or its largest channel; its `Root`
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "command": In(VectorCommand()),
                "phase": In(Phase),
                "activations": In(LaneValues(config, signed(8))),
                "centred": In(LaneValues(config, signed(CENTRED_WIDTH))),
                "squares": In(LaneValues(config, SQUARE_WIDTH)),
                "root_valid": In(1),
                "root_token": In(16),
                "token": In(16),
                "centre": Out(signed(CENTRE_WIDTH)),
                "root": Out(Root()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self._config.accumulator_depth
        m.submodules.totals = totals = Memory(shape=signed(TOTAL_WIDTH), depth=depth, init=[])
        m.submodules.squares = squares = Memory(shape=SQUARES_WIDTH, depth=depth, init=[])
        m.submodules.roots = roots = Memory(shape=Root(), depth=depth, init=[])
        total_read, total_write = totals.read_port(), totals.write_port()
        squares_read, squares_write = squares.read_port(), squares.write_port()
        root_read, root_write = roots.read_port(), roots.write_port()
        largest_phase = self.phase == Phase.LARGEST
        roots_phase = self.phase == Phase.ROOTS
        is_norm = self.command.operation == Operation.LAYERNORM

        # One value for an activation's channels
        def larger(a: Value, b: Value) -> Value:
            return Mux(a > b, a, b)

        present = [
            Mux(has_channel(self.activations.element, lane), self.activations.values[lane], ACTIVATION_MIN)
            for lane in range(self._config.vector_lanes)
        ]
        largest, largest_line = self._tree(m, "largest", self.activations, present, larger)
        total, total_line = self._tree(m, "total", self.centred, list(self.centred.values), lambda a, b: a + b)
        square, square_line = self._tree(m, "square", self.squares, list(self.squares.values), lambda a, b: a + b)

        # ... joined with that of the channels before
        first = Signal.like(total_line)
        joined = Signal(signed(TOTAL_WIDTH))
        value = Signal(signed(TOTAL_WIDTH), reset_less=True)
        m.d.comb += first.eq(Mux(largest_phase, largest_line, total_line))
        m.d.sync += value.eq(Mux(largest_phase, largest, total))
        total_stage = self._registered(m, first, "total_stage")
        square_stage = self._registered(m, square_line, "square_stage")
        square_value = Signal.like(square, reset_less=True)
        m.d.sync += square_value.eq(square)
        with m.If(total_stage.element.opens):
            m.d.comb += joined.eq(value)
        with m.Elif(largest_phase):
            m.d.comb += joined.eq(larger(value, total_read.data))
        with m.Else():
            m.d.comb += joined.eq(value + total_read.data)

        # Roots
        m.submodules.maker = maker = VectorRoots()
        token = Signal(range(depth))  # of the sums that are there
        made = Signal()
        valid = self.root_valid
        for number in range(1 + VectorRoots.LATENCY):
            later_token, later_valid = Signal.like(token, name=f"token{number}"), Signal(name=f"valid{number}")
            m.d.sync += [later_token.eq(self.root_token if number == 0 else token), later_valid.eq(valid)]
            token, valid = later_token, later_valid
        made = valid
        m.d.comb += [
            maker.shares.eq(~is_norm),
            maker.channels.eq(self.command.channels),
            maker.inverse.eq(self.command.inverse),
            maker.epsilon.eq(self.command.epsilon),
            maker.total.eq(total_read.data),
            maker.squares.eq(squares_read.data),
        ]

        # Memories: a pass that sums reads what it adds to, the others what they use.
        sums_total = largest_phase | ((self.phase == Phase.TOTALS) & is_norm)
        stored_total = Signal.like(joined, reset_less=True)
        stored_squares = Signal(SQUARES_WIDTH, reset_less=True)
        total_writes = self._registered(m, total_stage, "total_writes")
        square_writes = self._registered(m, square_stage, "square_writes")
        m.d.sync += [
            stored_total.eq(joined),
            stored_squares.eq(square_value + Mux(square_stage.element.opens, 0, squares_read.data)),
        ]
        with m.If(roots_phase):
            m.d.comb += [total_read.addr.eq(self.root_token), squares_read.addr.eq(self.root_token)]
        with m.Else():
            m.d.comb += [
                total_read.addr.eq(Mux(sums_total, first.element.token, self.token)),
                squares_read.addr.eq(square_line.element.token),
            ]
        m.d.comb += [
            total_write.en.eq((total_writes.valid & sums_total) | (made & is_norm)),
            total_write.addr.eq(Mux(made, token, total_writes.element.token)),
            total_write.data.eq(Mux(made, maker.mean, stored_total)),
            squares_write.en.eq(square_writes.valid & (self.phase == Phase.TOTALS)),
            squares_write.addr.eq(square_writes.element.token),
            squares_write.data.eq(stored_squares),
            root_write.en.eq(made),
            root_write.addr.eq(token),
            root_write.data.eq(maker.root),
            root_read.addr.eq(self.token),
            self.centre.eq(total_read.data),
            self.root.eq(root_read.data),
        ]
        return m

    def _tree(
        self, m: Module, name: str, source: "data.View[LaneValues]", values: list[Value], join: Join
    ) -> tuple[Value, "data.View[data.StructLayout]"]:
        """The values joined in pairs, `LEVELS` levels a cycle; `valid` and `element` that go with the result."""
        stage = Signal(data.StructLayout({"valid": 1, "element": Element(self._config)}), name=f"{name}_source")
        m.d.comb += [stage.valid.eq(source.valid), stage.element.eq(source.element)]
        level = 0
        while len(values) > 1:
            values = [join(a, b) for a, b in zip(values[::2], values[1::2], strict=True)]
            level += 1
            if level % LEVELS == 0 or len(values) == 1:
                registers = [
                    Signal(value.shape(), name=f"{name}{level}_{number}", reset_less=True)
                    for number, value in enumerate(values)
                ]
                m.d.sync += [register.eq(value) for register, value in zip(registers, values, strict=True)]
                stage = self._registered(m, stage, f"{name}{level}")
                values = list(registers)
        return values[0], stage

    @staticmethod
    def _registered(m: Module, stage: Value, name: str) -> Signal:
        register = Signal.like(stage, name=name)
        m.d.sync += register.eq(stage)
        return register
