"""What becomes of the channels of an activation in a vector operation, a lane for each channel."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ssvq_gen.arithmetic import ACTIVATION_MIN
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import TABLE_ENTRIES, TABLE_ENTRY_BYTES
from ssvq_gen.vector_arithmetic import (
    GAIN_SHIFT_MAX,
    MEAN_FRACTION,
    MULTIPLIER_WIDTH,
    NORMALIZING_SHIFT_STEP,
    OFFSET_WIDTH,
    ROOT_WIDTH,
    SHIFTS,
)

from .checks import require_config
from .vector_command import Element, Operation, Phase, VectorCommand, has_channel
from .vector_roots import CENTRE_WIDTH, CENTRED_WIDTH, Root
from .vector_statistics import SQUARE_WIDTH, LaneValues
from .vector_walk import Arrival, ArrivedWord
from .vector_window_sums import VectorWindowSums, value_width

_FACTOR_WIDTH = CENTRE_WIDTH + 1
_PRODUCT_WIDTH = _FACTOR_WIDTH + ROOT_WIDTH + 1
_WINDOW_WIDTH = 11
"""As in the requantizer: what is beyond saturates, and is out of reach of every clamp."""


class LaneParameters(data.StructLayout):
    """Parameters of a channel, in the order in which their bytes are stored."""

    def __init__(self) -> None:
        super().__init__(
            {
                "multiplier": signed(MULTIPLIER_WIDTH),
                "second_multiplier": signed(MULTIPLIER_WIDTH),
                "offset": signed(OFFSET_WIDTH),
                "gain_shift": 8,
            }
        )


class VectorLanes(wiring.Component):
    """`vector_lanes` channels a cycle; latency `LATENCY` cycles from the word that completes an element to `o`.

    Members
    -------
    begins : In, `command` is new: its parameters hold for all channels until others arrive
    command, phase : In, what is worked on
    arrives, arrived, word : In, a word of the activation memory and what it is for
    activations, centred, squares : to the statistics
    token : to the statistics
    centre, root : In, one cycle later
    o : outputs, `vector_lanes` int8, those without a channel 0; of pixels of a window one
    """

    LATENCY = 13

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "begins": In(1),
                "command": In(VectorCommand()),
                "phase": In(Phase),
                "arrives": In(1),
                "arrived": In(ArrivedWord(config)),
                "word": In(8 * config.word_bytes),
                "activations": Out(LaneValues(config, signed(8))),
                "centred": Out(LaneValues(config, signed(CENTRED_WIDTH))),
                "squares": Out(LaneValues(config, SQUARE_WIDTH)),
                "token": Out(16),
                "centre": In(signed(CENTRE_WIDTH)),
                "root": In(Root()),
                "o": Out(stream.Signature(8 * config.vector_lanes, always_ready=True)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, command = self._config, self.command
        operation = command.operation
        outputs = self.phase == Phase.OUTPUTS
        part = self.word.word_select(self.arrived.slot if config.vector_slots > 1 else 0, 8 * config.vector_lanes)

        # Stages, counted from the arrival of the element's last operand
        stage = data.StructLayout({"valid": 1, "element": Element(config)})
        stages = [Signal(stage, name="stage0")]
        kind = self.arrived.kind
        is_operand = (kind == Arrival.FIRST) | (kind == Arrival.SECOND)
        m.d.comb += [
            stages[0].valid.eq(self.arrives & is_operand & self.arrived.complete),
            stages[0].element.eq(self.arrived.element),
        ]
        for number in range(1, self.LATENCY + 1):
            stages.append(Signal(stage, name=f"stage{number}"))
            m.d.sync += stages[number].eq(stages[number - 1])

        first = Signal(8 * config.vector_lanes, reset_less=True)
        second = Signal(8 * config.vector_lanes, reset_less=True)
        with m.If(kind == Arrival.FIRST):
            m.d.sync += first.eq(part)
        with m.If(kind == Arrival.SECOND):
            m.d.sync += second.eq(part)
        coarse = self._delayed(m, self.root.coarse, 5, "coarse")
        m.d.comb += [
            self.token.eq(stages[1].element.token),
            self.activations.valid.eq(stages[1].valid & (self.phase == Phase.LARGEST)),
            self.activations.element.eq(stages[1].element),
            self.centred.valid.eq(stages[2].valid),
            self.centred.element.eq(stages[2].element),
            self.squares.valid.eq(stages[7].valid),
            self.squares.element.eq(stages[7].element),
            self.o.valid.eq(stages[self.LATENCY].valid & stages[self.LATENCY].element.place.closes & outputs),
        ]
        sums = self._sums(m, stages, part)

        # A pixel outside the image is nothing: zero in a sum, the smallest there is among others.
        is_pool = operation == Operation.POOL
        outside = Signal()
        smallest, none = Signal(), Signal()
        m.d.comb += [
            outside.eq(stages[1].element.place.outside),
            smallest.eq(outside & is_pool & command.largest),
            none.eq(outside & ~smallest),
        ]
        entry = self._table_entry(m)
        for lane in range(config.vector_lanes):
            parameters = self._parameters(m, lane, part)
            table = self._table(m, lane, entry)

            # 1: less the zero points
            x, y = (register.word_select(lane, 8).as_signed() for register in (first, second))
            m.d.comb += self.activations.values[lane].eq(x)
            used = Signal(name=f"used{lane}")
            m.d.comb += used.eq(has_channel(stages[1].element, lane) & ~none)
            value = Signal(signed(9), reset_less=True, name=f"value{lane}")
            other = Signal(signed(9), reset_less=True, name=f"other{lane}")
            m.d.sync += [
                value.eq(Mux(used, Mux(smallest, ACTIVATION_MIN, x) - command.input_zero_point, 0)),
                other.eq(y - command.second_zero_point),
            ]

            # 2: the factors of a product, or the place of one in the table
            centred = self.centred.values[lane]
            m.d.comb += centred.eq(value << parameters.gain_shift[: GAIN_SHIFT_MAX.bit_length()])
            factor = Signal(signed(_FACTOR_WIDTH), reset_less=True, name=f"factor{lane}")
            second_factor = Signal(signed(ROOT_WIDTH + 1), reset_less=True, name=f"second_factor{lane}")
            distance = Signal(8, reset_less=True, name=f"distance{lane}")
            m.d.sync += distance.eq(self.centre - value)
            with m.Switch(operation):
                with m.Case(Operation.SUM):
                    m.d.sync += [factor.eq(other), second_factor.eq(parameters.second_multiplier)]
                with m.Case(Operation.MULTIPLY):
                    m.d.sync += [factor.eq(value), second_factor.eq(other)]
                with m.Case(Operation.LAYERNORM):
                    m.d.sync += [
                        factor.eq(Mux(outputs, (centred << MEAN_FRACTION) - self.centre, centred)),
                        second_factor.eq(Mux(outputs, self.root.root, centred)),
                    ]
                with m.Case(Operation.SOFTMAX):
                    m.d.sync += second_factor.eq(Mux(outputs, self.root.root, 1))
                with m.Case(Operation.DEPTHWISE):
                    m.d.sync += [factor.eq(value), second_factor.eq(sums.first_weights[lane])]

            # 3 and 4: the table, the multiplier's input; 5 and 6: its output
            lane_is_used = Signal(name=f"lane_is_used{lane}")
            m.d.comb += lane_is_used.eq(has_channel(stages[4].element, lane))
            weight = Mux(lane_is_used, table.read, 0)
            left = Signal(signed(_FACTOR_WIDTH), reset_less=True, name=f"left{lane}")
            m.d.sync += left.eq(
                Mux(operation == Operation.SOFTMAX, weight, self._delayed(m, factor, 1, f"factor{lane}"))
            )
            right = self._delayed(m, second_factor, 2, f"right{lane}")
            product = self._delayed(m, left * right, 2, f"product{lane}")
            value = self._delayed(m, value, 5, f"value{lane}")
            m.d.comb += [
                self.squares.values[lane].eq(product),
                sums.pixels[lane].eq(left),
                sums.terms[lane].eq(Mux(is_pool, value, product)),
            ]

            # 7: the value that is scaled
            scaled = Signal(signed(value_width(config)), reset_less=True, name=f"scaled{lane}")
            beside = Signal(signed(9 + MULTIPLIER_WIDTH), reset_less=True, name=f"beside{lane}")
            doubled = Signal(signed(_PRODUCT_WIDTH), name=f"doubled{lane}")
            step = NORMALIZING_SHIFT_STEP
            m.d.comb += doubled.eq((product >> (step - 1)) >> Cat(Signal(2, name=f"none{lane}"), coarse))
            m.d.sync += beside.eq(Mux(operation == Operation.SUM, product, 0))
            with m.Switch(operation):
                with m.Case(Operation.SUM):
                    m.d.sync += scaled.eq(value)
                with m.Case(Operation.MULTIPLY):
                    m.d.sync += scaled.eq(product)
                with m.Case(Operation.POOL, Operation.DEPTHWISE):
                    m.d.sync += scaled.eq(sums.values[lane])
                with m.Default():
                    m.d.sync += scaled.eq((doubled + 1) >> 1)

            # 8 to 11: scaled, rounded, clamped
            output = self._rescaled(m, lane, scaled, beside, parameters)

            # 12: the output's place in the table
            m.d.comb += table.address.eq(Mux(operation == Operation.SOFTMAX, distance, output))
            plain = self._delayed(m, output, 1, f"plain{lane}")
            looked_up = (command.table_use != 0) & (operation != Operation.SOFTMAX)
            found = Mux(looked_up, table.read, plain)[:8]
            kept = found & has_channel(stages[self.LATENCY].element, lane).replicate(8)
            m.d.comb += self.o.payload.word_select(lane, 8).eq(kept)
        return m

    def _sums(self, m: Module, stages: list[Signal], part: Value) -> VectorWindowSums:
        """Pixels are at their multiplier in stage 5, products of tap 0 in stage 7."""
        m.submodules.sums = sums = VectorWindowSums(config=self._config)
        m.d.comb += [
            sums.command.eq(self.command),
            sums.arrives.eq(self.arrives),
            sums.arrived.eq(self.arrived),
            sums.part.eq(part),
            sums.first_place.eq(stages[1].element.place),
            sums.place.eq(stages[4].element.place),
            sums.valid.eq(stages[7].valid),
            sums.term_place.eq(stages[7].element.place),
        ]
        return sums

    def _rescaled(self, m: Module, lane: int, value: Value, beside: Value, parameters: Value) -> Signal:
        """`ssvq_gen.vector_arithmetic.rescale`."""
        command = self.command
        width = value_width(self._config) + MULTIPLIER_WIDTH
        product = Signal(signed(width), reset_less=True, name=f"rescaled{lane}")
        addend = Signal(signed(OFFSET_WIDTH + 1), reset_less=True, name=f"addend{lane}")
        # One sum after the product, which the multiplier's DSP block takes.
        total = Signal(signed(width + 1), reset_less=True, name=f"total{lane}")
        m.d.sync += [
            product.eq(value * parameters.multiplier),
            addend.eq(parameters.offset + beside),
            total.eq(product + addend),
        ]
        window = Signal(signed(_WINDOW_WIDTH), reset_less=True, name=f"window{lane}")
        m.d.sync += window.eq(self._window(m, lane, total))
        rounded = Signal(signed(_WINDOW_WIDTH + 1), name=f"rounded{lane}")
        output = Signal(8, reset_less=True, name=f"output{lane}")
        m.d.comb += rounded.eq(((window + 1) >> 1) + command.zero_point)
        with m.If(rounded > command.clamp_max):
            m.d.sync += output.eq(command.clamp_max)
        with m.Elif(rounded < command.clamp_min):
            m.d.sync += output.eq(command.clamp_min)
        with m.Else():
            m.d.sync += output.eq(rounded)
        return output

    def _window(self, m: Module, lane: int, total: Value) -> Value:
        """Twice the shifted total, saturated to `_WINDOW_WIDTH` bits.

        Of the bits above the window it matters only whether one differs from the sign: no shifter is made for them.
        """
        sign = total[-1]
        shifted, overflows = Signal(_WINDOW_WIDTH, name=f"shifted{lane}"), Signal(name=f"overflows{lane}")
        differs: dict[int, Value] = {}
        above: Value = Const(0)
        end = len(total)
        for shift in sorted(SHIFTS, reverse=True):
            begin = shift - 1 + _WINDOW_WIDTH - 1
            here = Signal(name=f"differs{shift}_{lane}")
            m.d.comb += here.eq(above | (total[begin:end] ^ sign.replicate(end - begin)).any())
            differs[shift], above, end = here, here, begin
        with m.Switch(self.command.shift_code):
            for code, shift in enumerate(SHIFTS):
                with m.Case(code):
                    m.d.comb += [shifted.eq(total >> (shift - 1)), overflows.eq(differs[shift])]
        limit = Cat((~sign).replicate(_WINDOW_WIDTH - 1), sign)
        return Mux(overflows, limit, shifted)

    def _parameters(self, m: Module, lane: int, part: Value) -> "data.View[LaneParameters]":
        """The lane's parameters: the descriptor's, or the bytes that have arrived since."""
        command = self.command
        parameters = Signal(LaneParameters(), reset_less=True, name=f"parameters{lane}")
        with m.If(self.begins):
            m.d.sync += [
                parameters.multiplier.eq(command.multiplier),
                parameters.second_multiplier.eq(Mux(command.has_second, command.second_multiplier, 0)),
                parameters.offset.eq(0),
                parameters.gain_shift.eq(0),
            ]
        with m.If(self.arrives & (self.arrived.kind == Arrival.PARAMETER)):
            m.d.sync += parameters.as_value().word_select(self.arrived.position, 8).eq(part.word_select(lane, 8))
        return parameters

    def _table_entry(self, m: Module) -> wiring.PureInterface:
        """Entries of the table, one a cycle, from the words that arrive."""
        width = 8 * TABLE_ENTRY_BYTES
        entry = wiring.Signature({"en": Out(1), "address": Out(range(TABLE_ENTRIES)), "data": Out(width)}).create()
        words = Signal(8 * self._config.word_bytes, reset_less=True)
        left = Signal(range(self._config.word_bytes // TABLE_ENTRY_BYTES + 1))
        m.d.comb += [entry.en.eq(left != 0), entry.data.eq(words)]
        with m.If(self.begins):
            m.d.sync += entry.address.eq(0)
        with m.If(left != 0):
            m.d.sync += [left.eq(left - 1), words.eq(words >> width), entry.address.eq(entry.address + 1)]
        with m.If(self.arrives & (self.arrived.kind == Arrival.TABLE)):
            m.d.sync += [words.eq(self.word), left.eq(self._config.word_bytes // TABLE_ENTRY_BYTES)]
        return entry

    def _table(self, m: Module, lane: int, entry: wiring.PureInterface) -> wiring.PureInterface:
        """A lane's copy of the table: `address`, and `read` a cycle later."""
        width = 8 * TABLE_ENTRY_BYTES
        port = wiring.Signature({"address": Out(range(TABLE_ENTRIES)), "read": Out(width)}).create()
        m.submodules[f"table{lane}"] = table = Memory(shape=width, depth=TABLE_ENTRIES, init=[])
        read, write = table.read_port(), table.write_port()
        m.d.comb += [
            write.en.eq(entry.en),
            write.addr.eq(entry.address),
            write.data.eq(entry.data),
            read.addr.eq(port.address),
            port.read.eq(read.data),
        ]
        return port

    @staticmethod
    def _delayed(m: Module, value: Value, cycles: int, name: str) -> Value:
        """The value of `cycles` cycles ago."""
        for number in range(cycles):
            register = Signal(value.shape(), name=f"{name}_{number}", reset_less=True)
            m.d.sync += register.eq(value)
            value = register
        return value
