"""Addresses of the pixels in the windows of an image, and of the activations of a matrix."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring

from ssvq_gen.config import CoreConfig

from .checks import require_config
from .walk import ADDRESS_WIDTH, X_WIDTH, Y_WIDTH, WalkCommand, lane_count, times, walk_members


class WindowWalk(wiring.Component):
    """Pixels of windows: ``for product: for tile column: for kernel position: for channel tile: for window``.

    Kernel positions go row by row and so do windows, `output_width` in a row. Window (oy, ox) has at kernel position
    (ky, kx) the pixel in row ``origin_y + oy * stride_y + ky * dilation_y``, column ``origin_x + ox * stride_x +
    kx * dilation_x``; `source` is where the first window's first pixel is, or would be: with a padded image perhaps
    below zero. Whether there is a further row of the kernel is up to `last_tile`.

    A matrix is a row of windows with a kernel of one position, all of which are inside the image.

    Everything is counted up; products of strides are made when a command is taken.

    Latency: the address is a register; it is there with the cycle after `start` and `advance`. An activation a cycle.

    Members: `walk_members`
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(walk_members(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = Signal(WalkCommand(), reset_less=True)
        with m.If(self.start):
            m.d.sync += shape.eq(self.command)

        # Where in the loop.
        channel_tile = Signal(12)
        kernel_x = Signal(4)
        output_x = Signal(12)
        row_ends = Signal()  # of the image: the next window is below
        kernel_row_ends = Signal()  # with this tile
        m.d.comb += [
            row_ends.eq(shape.is_window & (output_x == shape.output_width - 1)),
            self.last_channels.eq(Mux(shape.is_window, channel_tile == shape.channel_tiles - 1, self.last_tile)),
            kernel_row_ends.eq(self.last_channels & (kernel_x == shape.kernel_width - 1)),
        ]
        with m.If(self.start):
            m.d.sync += [channel_tile.eq(0), kernel_x.eq(0), output_x.eq(0)]
        with m.Elif(self.advance):
            m.d.sync += output_x.eq(output_x + 1)
            with m.If(row_ends | self.last_token):
                m.d.sync += output_x.eq(0)
            with m.If(self.last_token):
                m.d.sync += channel_tile.eq(channel_tile + 1)
                with m.If(self.last_channels | self.last_tile):
                    m.d.sync += [channel_tile.eq(0), kernel_x.eq(kernel_x + 1)]
                with m.If(kernel_row_ends | self.last_tile):
                    m.d.sync += kernel_x.eq(0)
        if lane_count(self._config) > 1:
            m.d.comb += self.lane.eq(channel_tile)
        self._move_address(m, shape, row_ends, kernel_row_ends)
        self._move_pixel(m, shape, row_ends, kernel_row_ends)
        return m

    def _move_address(
        self, m: Module, shape: "data.View[WalkCommand]", row_ends: Value, kernel_row_ends: Value
    ) -> None:
        """Each level of the loop has the address of its first pixel; where one ends, the next goes on from there."""
        command = self.command
        row = Signal(ADDRESS_WIDTH)  # of windows
        tile, position, kernel_row, product = (Signal(ADDRESS_WIDTH, name=f"{name}_address") for name in _LEVELS)
        step_x = Signal(19, reset_less=True)  # words to the next window, to the one below
        step_y = Signal(19, reset_less=True)
        kernel_step_x = Signal(20, reset_less=True)  # ... position of the kernel, and row of it
        kernel_step_y = Signal(20, reset_less=True)
        with m.If(self.start):
            m.d.sync += [
                step_x.eq(times(command.input_stride, Mux(command.is_window, command.stride_x, 1))),
                step_y.eq(times(command.row_stride, command.stride_y)),
                kernel_step_x.eq(times(command.input_stride, command.dilation_x)),
                kernel_step_y.eq(times(command.row_stride, command.dilation_y)),
            ]

        next_window = Signal(ADDRESS_WIDTH)
        base = Signal(ADDRESS_WIDTH)
        step = Signal(20)
        next_tile = Signal(ADDRESS_WIDTH)
        m.d.comb += [
            next_window.eq(Mux(row_ends, row, self.address) + Mux(row_ends, step_y, step_x)),
            next_tile.eq(base + step),
        ]
        with m.If(self.last_tile):
            m.d.comb += [base.eq(product), step.eq(Mux(self.last_column, shape.input_batch_stride, 0))]
        with m.Elif(~self.last_channels):
            m.d.comb += [base.eq(tile), step.eq(self.lane == lane_count(self._config) - 1)]
        with m.Elif(~kernel_row_ends):
            m.d.comb += [base.eq(position), step.eq(kernel_step_x)]
        with m.Else():
            m.d.comb += [base.eq(kernel_row), step.eq(kernel_step_y)]
        with m.If(self.start):
            source = Mux(command.is_window, command.source.as_signed(), command.source)
            for register in (self.address, row, tile, position, kernel_row, product):
                m.d.sync += register.eq(source)
        with m.Elif(self.advance):
            m.d.sync += self.address.eq(next_window)
            with m.If(row_ends):
                m.d.sync += row.eq(next_window)
            with m.If(self.last_token):
                m.d.sync += [self.address.eq(next_tile), row.eq(next_tile), tile.eq(next_tile)]
                with m.If(self.last_channels | self.last_tile):
                    m.d.sync += position.eq(next_tile)
                with m.If(kernel_row_ends | self.last_tile):
                    m.d.sync += kernel_row.eq(next_tile)
                with m.If(self.last_tile):
                    m.d.sync += product.eq(next_tile)

    def _move_pixel(self, m: Module, shape: "data.View[WalkCommand]", row_ends: Value, kernel_row_ends: Value) -> None:
        """The place in the image, of this pixel and of the first window's at this position of the kernel."""
        y, x = Signal(Y_WIDTH), Signal(X_WIDTH)
        first_y, first_x = Signal.like(y), Signal.like(x)
        next_y, next_x = Signal.like(y), Signal.like(x)
        m.d.comb += [next_y.eq(first_y), next_x.eq(first_x)]
        with m.If(self.last_tile):
            m.d.comb += [next_y.eq(shape.origin_y), next_x.eq(shape.origin_x)]
        with m.Elif(kernel_row_ends):
            m.d.comb += [next_y.eq(first_y + shape.dilation_y), next_x.eq(shape.origin_x)]
        with m.Elif(self.last_channels):
            m.d.comb += next_x.eq(first_x + shape.dilation_x)
        with m.If(self.start):
            m.d.sync += [register.eq(self.command.origin_y) for register in (y, first_y)]
            m.d.sync += [register.eq(self.command.origin_x) for register in (x, first_x)]
        with m.Elif(self.advance):
            m.d.sync += x.eq(x + shape.stride_x)
            with m.If(row_ends):
                m.d.sync += [y.eq(y + shape.stride_y), x.eq(first_x)]
            with m.If(self.last_token):
                m.d.sync += [y.eq(next_y), first_y.eq(next_y), x.eq(next_x), first_x.eq(next_x)]
        m.d.comb += self.inside.eq(~shape.is_window | ((y < shape.input_height) & (x < shape.input_width)))


_LEVELS = ("tile", "position", "kernel_row", "product")
