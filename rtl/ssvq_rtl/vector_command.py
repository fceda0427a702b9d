"""What the parts of the vector unit are told of an operation."""

from enum import IntEnum

from amaranth.hdl import Const, Value, ValueLike, signed
from amaranth.lib import data

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import FIELD_BY_NAME, Opcode

from .descriptor import INDEX_WIDTH

_FIELDS = (
    *("source", "destination", "tokens", "channels", "input_stride", "output_stride", "zero_point", "clamp_min"),
    *("clamp_max", "parameters", "planes", "table", "table_use", "shift_code", "input_zero_point", "multiplier"),
    *("second_source", "second_stride", "second_zero_point", "second_multiplier", "has_second", "inverse", "epsilon"),
    *("input_height", "input_width", "origin_y", "origin_x", "stride_y", "stride_x", "dilation_y", "dilation_x"),
    *("row_stride", "kernel_height", "kernel_width", "output_width", "largest", "extra_taps"),
)


class Operation(IntEnum):
    """The opcode of a vector operation."""

    SUM = 0
    MULTIPLY = 1
    LAYERNORM = 2
    SOFTMAX = 3
    POOL = 4
    DEPTHWISE = 5

    @classmethod
    def of_opcode(cls, opcode: ValueLike) -> Value:
        """The operation of a vector descriptor's opcode, which follow each other in the same order."""
        return (Value.cast(opcode) - Opcode.SUM.value)[:3]


class VectorCommand(data.StructLayout):
    """A vector operation, as in its descriptor; `index` is the descriptor's place in the job."""

    def __init__(self) -> None:
        fields = {name: FIELD_BY_NAME[name] for name in _FIELDS}
        shapes = {name: signed(field.width) if field.signed else field.width for name, field in fields.items()}
        super().__init__({"operation": Operation, **shapes, "index": INDEX_WIDTH})


class Phase(IntEnum):
    """A pass over the activations.

    LARGEST : the largest channel of each activation
    TOTALS : sums over its channels
    ROOTS : what they are multiplied by, from the sums; reads nothing
    OUTPUTS : everything else
    """

    LARGEST = 0
    TOTALS = 1
    ROOTS = 2
    OUTPUTS = 3


class WindowPlace(data.StructLayout):
    """Where a pixel is in its windows; of what is no window of an image, every activation is one.

    outside : it is not in the image, so there is no word
    opens : all sums begin with it
    shifts : it is the last one of a period, the windows move on by one
    closes : it completes a window
    beyond : it is not in the window that is completed next, but in those after
    weight : place of its weight
    """

    def __init__(self) -> None:
        super().__init__({"outside": 1, "opens": 1, "shifts": 1, "closes": 1, "beyond": 1, "weight": 6})


class Element(data.StructLayout):
    """Goes with `vector_lanes` channels of an activation.

    token : the activation
    opens : the first channels of a phase
    last_lane : lanes after this one have no channel
    place : of a pixel in its windows
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__({"token": 16, "opens": 1, "last_lane": range(config.vector_lanes), "place": WindowPlace()})


def has_channel(element: "data.View[Element]", lane: int) -> Value:
    """Whether a lane has one of the element's channels; the first always has."""
    return Const(1, 1) if lane == 0 else element.last_lane >= lane
