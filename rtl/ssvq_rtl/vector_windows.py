"""Addresses of the first operand of a vector operation: activations of a matrix, or pixels in windows of an image."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .vector_command import Operation, VectorCommand, WindowPlace
from .walk import ADDRESS_WIDTH, X_WIDTH, Y_WIDTH, times

_STEP_WIDTH = 20
_LEVELS = ("column", "window", "row", "group")


class VectorWindows(wiring.Component):
    """``for group of channels: for row of windows: for window: for kernel column: for kernel row``.

    A kernel column that is outside of the image takes one step. With `extra_taps` n of a DEPTHWISE, windows overlap: a
    step has the pixel of n + 1 windows at once, and a *period* of `stride_x` pixels of a row belongs to the window
    whose first pixels they are and to the n windows before. So it is n windows later that one is complete, and its
    last period is shorter. Without, a period is the kernel's width. A matrix is windows of one pixel in one row.

    Latency: the address is a register; it is there with the cycle after `start` and `advance`. A pixel a cycle.

    Members
    -------
    command : In, static from `start` on; products of its strides are made there
    start, advance : In, the walk is at its first pixel, at the next one with the next cycle
    last_token : In, the window that is completed next is the last one of its group
    next_word : In, ... and the next group's channels are in the next word
    address : activation memory word
    place : `WindowPlace` of the pixel
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "command": In(VectorCommand()),
                "start": In(1),
                "advance": In(1),
                "last_token": In(1),
                "next_word": In(1),
                "address": Out(ADDRESS_WIDTH),
                "place": Out(WindowPlace()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        command, place = self.command, self.place
        is_window = Signal()
        m.d.comb += is_window.eq((command.operation == Operation.POOL) | (command.operation == Operation.DEPTHWISE))

        # Lengths of the loops, less one.
        rows = Signal(12, reset_less=True)
        columns = Signal(4, reset_less=True)  # of a period
        last_columns = Signal(4, reset_less=True)  # ... of the last one in a row of windows
        extra_taps = Signal(3, reset_less=True)
        taps = Mux(command.operation == Operation.DEPTHWISE, command.extra_taps, 0)
        with m.If(self.start):
            m.d.sync += [
                extra_taps.eq(taps),
                rows.eq(Mux(is_window, command.kernel_height - 1, 0)),
                columns.eq(Mux(is_window, Mux(taps != 0, command.stride_x, command.kernel_width) - 1, 0)),
                last_columns.eq(Mux(is_window, command.kernel_width - 1 - times(command.stride_x, taps), 0)),
            ]

        # Where in the loops.
        row, column = Signal(12), Signal(4)
        pending = Signal(3)  # periods until a window is complete
        output_x = Signal(12)
        is_column = Signal()
        completes_row, ends_column, ends_period, ends_row, ends_group = (
            Signal(name=name) for name in ("completes_row", "ends_column", "ends_period", "ends_row", "ends_group")
        )
        m.d.comb += [
            completes_row.eq((pending == 0) & (self.last_token | (is_window & (output_x == command.output_width - 1)))),
            ends_column.eq((row == rows) | (is_window & ~is_column)),
            ends_period.eq(ends_column & (column == Mux(completes_row, last_columns, columns))),
            ends_row.eq(ends_period & completes_row),
            ends_group.eq(ends_row & self.last_token),
            place.opens.eq((row == 0) & (column == 0) & (pending == extra_taps)),
            place.shifts.eq(ends_period),
            place.closes.eq(ends_period & (pending == 0)),
            place.beyond.eq(column > last_columns),
            place.weight.eq(Cat(row[:3], column[:3])),
        ]
        with m.If(self.start):
            m.d.sync += [row.eq(0), column.eq(0), output_x.eq(0), pending.eq(taps)]
        with m.Elif(self.advance):
            m.d.sync += row.eq(row + 1)
            with m.If(ends_column):
                m.d.sync += [row.eq(0), column.eq(column + 1)]
            with m.If(ends_period):
                m.d.sync += column.eq(0)
                with m.If(pending != 0):
                    m.d.sync += pending.eq(pending - 1)
                with m.Else():
                    m.d.sync += output_x.eq(output_x + 1)
            with m.If(ends_row):
                m.d.sync += [output_x.eq(0), pending.eq(extra_taps)]
        ends = (ends_column, ends_period, ends_row, ends_group)
        self._move_address(m, is_window, ends)
        self._move_pixel(m, is_window, is_column, ends)
        return m

    def _move_address(self, m: Module, is_window: Value, ends: tuple[Value, ...]) -> None:
        """Each level of the loop has the address of its first pixel; where one ends, the next goes on from there."""
        command = self.command
        steps = [Signal(_STEP_WIDTH, reset_less=True, name=f"{name}_step") for name in ("kernel_row", *_LEVELS[:-1])]
        with m.If(self.start):
            m.d.sync += [
                steps[0].eq(times(command.row_stride, command.dilation_y)),
                steps[1].eq(times(command.input_stride, command.dilation_x)),
                steps[2].eq(times(command.input_stride, Mux(is_window, command.stride_x, 1))),
                steps[3].eq(times(command.row_stride, command.stride_y)),
            ]
        levels = [Signal(ADDRESS_WIDTH, name=f"{name}_address") for name in _LEVELS]
        base, step, following = Signal(ADDRESS_WIDTH), Signal(_STEP_WIDTH), Signal(ADDRESS_WIDTH)
        m.d.comb += [base.eq(self.address), step.eq(steps[0]), following.eq(base + step)]
        for end, level, words in zip(ends, levels, (*steps[1:], self.next_word), strict=True):
            with m.If(end):
                m.d.comb += [base.eq(level), step.eq(words)]
        with m.If(self.start):
            source = Mux(is_window, command.source.as_signed(), command.source)
            m.d.sync += [register.eq(source) for register in (self.address, *levels)]
        with m.Elif(self.advance):
            m.d.sync += self.address.eq(following)
            for end, level in zip(ends, levels, strict=True):
                with m.If(end):
                    m.d.sync += level.eq(following)

    def _move_pixel(self, m: Module, is_window: Value, is_column: Value, ends: tuple[Value, ...]) -> None:
        """The place in the image, of this pixel and of the first ones of its window and row."""
        command = self.command
        ends_column, ends_period, ends_row, ends_group = ends
        y, first_y = Signal(Y_WIDTH), Signal(Y_WIDTH)
        x, first_x = Signal(X_WIDTH), Signal(X_WIDTH)
        next_x, next_row = Signal.like(x), Signal.like(y)
        m.d.comb += [next_x.eq(first_x + command.stride_x), next_row.eq(first_y + command.stride_y)]
        with m.If(ends_row):
            m.d.comb += next_x.eq(command.origin_x)
        with m.If(ends_group):
            m.d.comb += next_row.eq(command.origin_y)
        with m.If(self.start):
            m.d.sync += [register.eq(command.origin_y) for register in (y, first_y)]
            m.d.sync += [register.eq(command.origin_x) for register in (x, first_x)]
        with m.Elif(self.advance):
            m.d.sync += y.eq(y + command.dilation_y)
            with m.If(ends_column):
                m.d.sync += [y.eq(first_y), x.eq(x + command.dilation_x)]
            with m.If(ends_period):
                m.d.sync += [x.eq(next_x), first_x.eq(next_x)]
            with m.If(ends_row):
                m.d.sync += [y.eq(next_row), first_y.eq(next_row)]
        is_row = y < command.input_height
        m.d.comb += [
            is_column.eq(x < command.input_width),
            self.place.outside.eq(is_window & ~(is_row & is_column)),
        ]
