# amaranth: UnusedElaboratable=no
from typing import Any

import pytest

from ssvq_gen.config import PRESETS
from ssvq_rtl.resize import StreamResizer
from ssvq_rtl.width_converter import WidthConverter
from ssvq_sim.stream_bench import Receiver, run_benches, seeded, send

PATTERNS = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.4, 0.4)]
LATENCY = 1


def words_of(payload: Any) -> tuple[int, int, int]:
    return int(payload.data), int(payload.last), int(payload.tag)


@pytest.mark.parametrize(("i_width", "o_width"), [(8, 64), (16, 32), (32, 32), (64, 32), (128, 8), (4, 512)])
@pytest.mark.parametrize(("idle", "stall"), PATTERNS)
def test_converts_whole_words(i_width: int, o_width: int, idle: float, stall: float) -> None:
    rng = seeded(i_width * 1000 + o_width)
    dut = WidthConverter(i_width=i_width, o_width=o_width)
    up, down = max(1, o_width // i_width), max(1, i_width // o_width)
    items, expected = [], []
    for command in range(6):
        count = rng.randint(1, 12 if up < 16 else 3)
        for n in range(count):
            parts = [rng.getrandbits(i_width) for _ in range(up)]
            word = sum(part << (i_width * p) for p, part in enumerate(parts))
            items += [
                {"data": part, "last": int(n == count - 1 and p == up - 1), "tag": command}
                for p, part in enumerate(parts)
            ]
            expected += [
                (word >> (o_width * p) & ((1 << o_width) - 1), int(n == count - 1 and p == down - 1), command)
                for p in range(down)
            ]
    receiver = Receiver(dut.o, rng=rng, stall=stall, convert=words_of)
    run_benches(
        dut,
        lambda ctx: send(ctx, dut.i, items, rng=rng, idle=idle),
        lambda ctx: receiver.take(ctx, len(expected)),
        cycles=8 * max(len(items), len(expected)) + 200,
    )
    assert receiver.items == expected
    if idle == stall == 0:
        assert receiver.times == [up - 1 + LATENCY + n * up for n in range(len(expected))]


def test_last_ends_a_wider_word_early() -> None:
    rng = seeded(7)
    dut = WidthConverter(i_width=8, o_width=32)
    items = [{"data": n, "last": int(n in (1, 6)), "tag": n} for n in range(8)] + [
        {"data": n, "last": 0, "tag": n} for n in range(8, 11)
    ]
    receiver = Receiver(dut.o, rng=rng, convert=words_of)
    run_benches(dut, lambda ctx: send(ctx, dut.i, items, rng=rng), lambda ctx: receiver.take(ctx, 4), cycles=200)
    masks = (0xFFFF, 0xFFFF_FFFF, 0xFF, 0xFFFF_FFFF)
    assert [(d & m, last, tag) for (d, last, tag), m in zip(receiver.items, masks, strict=True)] == [
        (0x0100, 1, 1),
        (0x05040302, 0, 5),
        (0x06, 1, 6),
        (0x0A090807, 0, 10),
    ]


@pytest.mark.parametrize("bus", [32, 128, 512])
def test_resizer_takes_the_widths_of_the_configuration(bus: int) -> None:
    config = PRESETS["base"].replace(axi_data_width=bus, decode_lanes=32)
    dut = StreamResizer(config=config)
    assert len(dut.i.p.data) == bus
    assert len(dut.o.p.data) == config.stream_width == 128


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"i_width": 12, "o_width": 8}, ValueError, "i_width must be a power of two, not 12"),
        ({"i_width": 8, "o_width": 2048}, ValueError, "o_width must be from 1 to 1024, not 2048"),
        ({"i_width": "8", "o_width": 8}, TypeError, "i_width must be an integer, not '8'"),
    ],
)
def test_refuses_bad_widths(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        WidthConverter(**arguments)


def test_resizer_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig, not 5"):
        StreamResizer(config=5)  # type: ignore[arg-type]
