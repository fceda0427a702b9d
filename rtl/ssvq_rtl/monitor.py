"""Where the cycles of a job go: counters of all of them, and records of every descriptor."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig
from ssvq_gen.profile import PROFILE_STORED
from ssvq_gen.registers import TRAFFIC_COUNTERS

from .checks import require_config
from .counters import Counters
from .decoder import SIGNS_AHEAD
from .descriptor import INDEX_WIDTH
from .matmul import MatmulStatus
from .profiler import Profiler
from .register_file import CounterLayout


class TransferStatus(data.StructLayout):
    """What LOADs, STOREs and vector operations do in a cycle.

    loading, storing, computing : one is not complete
    load_begins, store_begins, vector_begins : ... of descriptor `begins_index`
    load_ends, store_ends, vector_ends : ... of `load_ends_index`, `store_ends_index`, `vector_ends_index`
    """

    def __init__(self) -> None:
        running = ("loading", "storing", "computing")
        events = ("load_begins", "store_begins", "vector_begins", "load_ends", "store_ends", "vector_ends")
        indices = ("begins_index", "load_ends_index", "store_ends_index", "vector_ends_index")
        super().__init__({**dict.fromkeys(running + events, 1), **dict.fromkeys(indices, INDEX_WIDTH)})


class Monitor(wiring.Component):
    """Sorts cycles into classes by what the array does or waits for; without an activation to feed, by what has to end.

    Members
    -------
    begins : In, a job starts
    running : In, a job runs
    matmul, transfers : In, `MatmulStatus` and `TransferStatus`
    taken : In, a word leaves the weight stream
    stalled : In, the next word of the layer that is unpacked is there and not taken
    draining : In, a matrix descriptor is not complete
    beats : In, one bit for each traffic counter
    values : `CounterLayout`
    hold : the feeder must not take a command
    profile_addr, profile_data : `Profiler.read_addr`, `read_data`; zero without a profile
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = require_config(config)
        super().__init__(
            {
                "begins": In(1),
                "running": In(1),
                "matmul": In(MatmulStatus()),
                "transfers": In(TransferStatus()),
                "taken": In(1),
                "stalled": In(1),
                "draining": In(1),
                "beats": In(data.StructLayout({name.lower(): 1 for name, _ in TRAFFIC_COUNTERS})),
                "values": Out(CounterLayout()),
                "hold": Out(1),
                "profile_addr": In(32),
                "profile_data": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        status, transfers = self.matmul, self.transfers
        m.submodules.counters = counters = Counters()
        classes = counters.classes
        behind = self.stalled & ~self._is_ahead(m)
        m.d.comb += [
            counters.clear.eq(self.begins),
            counters.run.eq(self.running),
            classes.array_cycles.eq(status.issuing),
            classes.wait_weight_cycles.eq(status.wait_weights & ~self.stalled),
            classes.wait_decode_cycles.eq(status.wait_weights & behind),
            classes.wait_operand_cycles.eq(status.wait_operand),
            classes.wait_activation_cycles.eq(status.wait_activation),
            classes.wait_array_cycles.eq(status.wait_array | (status.wait_weights & self.stalled & ~behind)),
            classes.wait_output_cycles.eq(self.draining),
            classes.vector_cycles.eq(transfers.computing),
            classes.load_cycles.eq(transfers.loading),
            classes.store_cycles.eq(transfers.storing),
            counters.beats.eq(self.beats),
            self.values.eq(counters.values),
        ]
        if self._config.profile_depth:
            self._profile(m)
        return m

    def _is_ahead(self, m: Module) -> Value:
        """The decoder has taken more than a word for each cycle in which the array let it go on.

        While a row waits for its place, planes and sign words are taken that have their turn later. That the next word
        waits for them then costs nothing: the decoder was held up by the array, and is not slower than the bus.
        """
        config = self._config
        words = config.plane_count + SIGNS_AHEAD  # no others count, such as those of the next codebook
        most = words * max(1, config.stream_bytes // config.beat_bytes)
        ahead = Signal(range(most + 1))
        held = self.matmul.rows_in_use
        gains = held & self.taken & (ahead != most)
        loses = ~held & ~self.taken & (ahead != 0)
        m.d.sync += ahead.eq(ahead + gains - loses)
        return ahead != 0

    def _profile(self, m: Module) -> None:
        status, transfers = self.matmul, self.transfers
        m.submodules.profiler = profiler = Profiler(config=self._config)
        events: dict[str, tuple[Value, Value]] = {
            "load_begin": (transfers.load_begins, transfers.begins_index),
            "load_end": (transfers.load_ends, transfers.load_ends_index),
            "store_begin": (transfers.store_begins, transfers.begins_index),
            "store_end": (transfers.store_ends, transfers.store_ends_index),
            "vector_begin": (transfers.vector_begins, transfers.begins_index),
            "vector_end": (transfers.vector_ends, transfers.vector_ends_index),
            "decode_begin": (status.unpacks_begin, status.unpacks_index),
            "decode_end": (status.unpacks_end, status.unpacks_index),
            "compute_begin": (status.feeds_begin, status.feeds_index),
            "compute_end": (status.feeds_end, status.feeds_index),
            "drain_begin": (status.drains_begin, status.drains_index),
            "drain_end": (status.ends, status.ends_index),
        }
        for name, (valid, index) in events.items():
            event = getattr(profiler, name)
            m.d.comb += [event.valid.eq(valid & self.running), event.index.eq(index)]
        m.d.comb += [
            profiler.cycle.eq(self.values.total_cycles),
            *(profiler.classes[i].eq(self.values[name.lower()]) for i, name in enumerate(PROFILE_STORED)),
            profiler.read_addr.eq(self.profile_addr),
            self.profile_data.eq(profiler.read_data),
            self.hold.eq(profiler.busy),
        ]
