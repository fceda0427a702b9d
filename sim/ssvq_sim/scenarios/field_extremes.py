"""Descriptors with values that compilers do not get to: every bit of a field where it makes a difference."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import (
    DESCRIPTOR_BYTES,
    DRAM_ALIGNMENT,
    FIELD_BY_NAME,
    ErrorCode,
    Opcode,
    Residency,
    pack_descriptor,
)
from ssvq_gen.vector_arithmetic import DEPTHWISE_KERNEL_MAX, POOL_POSITIONS_MAX

from ..behaviour import Behaviour, Fault
from ..systems.core_model import CoreFault, CoreModel
from ..systems.error_cases import BURST_BYTES, SLAVE_ERROR, ErrorCase, failing
from ..systems.work import BASE, Work
from .odd_descriptors import OddCase, OddDescriptors
from .raw_programs import (
    ANY_ORDER,
    aligned,
    copy,
    dense_stream,
    load,
    random_words,
    raw_program,
    raw_work,
    store,
)

_IMAGE = 32
"""Rows and columns, of one word each."""
_STEPS = (1, 2, 4, 8, 15)
_WINDOWS = 8
_BURSTS = 9
_WAITED_TOKENS = 300
"""Of a vector operation: in its time, streams come in until buffer and queue are full."""
_PARTS = 4
"""Into which scenarios of many jobs are cut, so that none takes long."""
_MOST_BYTES = (1 << 32) - BASE
"""The largest DRAM window: beyond it, nothing is looked at until it is read."""


def extreme_works(config: CoreConfig) -> Iterator[tuple[str, Work]]:
    """Programs that succeed, with names."""
    yield "far steps", _far_steps(config)
    yield "many tokens", _many_tokens(config)
    yield "the whole weight cache", _whole_cache(config)


def _far_steps(config: CoreConfig) -> Work:
    """CONVs, POOLs and DEPTHWISEs whose kernel positions are up to 15 pixels apart, in a large image."""
    rng = np.random.default_rng(1)
    stream, words = dense_stream(config, rng, k_tiles=4), _IMAGE * _IMAGE
    data = random_words(config, rng, words)
    conv = {**stream.fields, "opcode": Opcode.CONV, "dram_offset": len(data), "channel_tiles": 1, "padding_value": 3}
    pool = {**copy(config, 0), "opcode": Opcode.POOL, "kernel_height": 2}
    kinds = (conv, {**pool, "largest": 1}, {**pool, "opcode": Opcode.DEPTHWISE})
    descriptors = [load(config, words)]
    for number, (dilation_y, dilation_x) in enumerate(zip(_STEPS * 3, rng.permutation(_STEPS * 3), strict=True)):
        geometry = {
            **{"input_height": _IMAGE, "input_width": _IMAGE, "input_stride": 1, "row_stride": _IMAGE},
            **{"dilation_y": dilation_y, "dilation_x": int(dilation_x), "kernel_width": 2, "output_width": 4},
        }
        for name in ("stride_y", "stride_x"):
            geometry[name] = int(rng.integers(1, 1 << FIELD_BY_NAME[name].width))
        y, x = (int(n) for n in rng.integers(-4, 5, 2))
        origin = {"origin_y": y, "origin_x": x, "source": y * _IMAGE + x & 0xFFFF_FFFF}
        place = {"tokens": _WINDOWS, "destination": words + number * _WINDOWS, "output_stride": 1}
        descriptors.append({**kinds[number // len(_STEPS)], **geometry, **origin, **place})
    written = _WINDOWS * (len(descriptors) - 1)
    descriptors.append(store(config, written, source=words))
    return raw_work(config, data + stream.weights, descriptors, words=written)


def _many_tokens(config: CoreConfig) -> Work:
    """Copies of 1, 2, 4 ... activations to one word: that of the last one stays."""
    depth = config.activation_depth
    counts = [1 << bit for bit in range(depth.bit_length())]
    stored = DRAM_ALIGNMENT // config.word_bytes
    data = random_words(config, np.random.default_rng(2), depth)
    descriptors = [load(config, depth)]
    for number, tokens in enumerate(counts):
        descriptors.append(copy(config, tokens, output_stride=0, destination=0))
        descriptors.append(store(config, stored, at=number * DRAM_ALIGNMENT))
        descriptors.append(load(config, 1))
    return raw_work(config, data, descriptors, words=stored * len(counts))


def _whole_cache(config: CoreConfig) -> Work:
    """Streams that are kept all over the cache, and one that fills it, each used again."""
    rng, size = np.random.default_rng(3), config.weight_cache_bytes
    words = 2 * config.activation_depth // config.word_bytes
    data, places = random_words(config, rng, words), [0, *(1 << bit for bit in range(8, size.bit_length() - 1))]
    descriptors, again, target = [load(config, words)], [], words
    for offset in places:
        stream = dense_stream(config, rng)
        data = aligned(data)
        kept = {**stream.fields, "dram_offset": len(data), "residency": Residency.KEEP, "cache_offset": offset}
        descriptors.append({**kept, "destination": target})
        again.append({**kept, "residency": Residency.REUSE, "destination": target + 1})
        data, target = data + stream.weights, target + 2
    stream = dense_stream(config, rng, k_tiles=(size - 256) // (config.rows * config.cols))
    data = aligned(data)
    kept = {**stream.fields, "dram_offset": len(data), "residency": Residency.KEEP}
    descriptors += [*again, {**kept, "destination": target}]
    descriptors.append({**kept, "residency": Residency.REUSE, "destination": target + 1})
    written = target + 2 - words
    descriptors.append(store(config, written, source=words))
    return raw_work(config, data + stream.weights, descriptors, words=written)


def extreme_jobs(config: CoreConfig) -> Iterator[OddDescriptors]:
    """Jobs of which one descriptor is right, or wrong by some bit of a field."""
    yield from _kernels(config)
    yield from _long_streams(config)


def _kernels(config: CoreConfig) -> Iterator[OddDescriptors]:
    """Kernels at their limits, and beyond them by any bit; the functional model says which are wrong."""
    most, widest = POOL_POSITIONS_MAX, FIELD_BY_NAME["kernel_width"].bounds[1]
    edge = [(most // width + more, width) for width in range(1, widest + 1) for more in (0, 1)]
    powers = [1 << bit for bit in range(FIELD_BY_NAME["kernel_height"].width)]
    high = [(height + 1, width) for height in powers for width in powers if width <= widest and height * width >= most]
    most = DEPTHWISE_KERNEL_MAX
    deep = [(most, most), (most + 1, 1), (1, most + 1), *((height, 1) for height in powers if height > most)]
    pixel = dict.fromkeys(("stride_y", "stride_x", "dilation_y", "dilation_x", "output_width"), 1)
    pixel |= dict.fromkeys(("input_height", "input_width"), 1)
    kinds = {Opcode.POOL: [*edge, *high], Opcode.DEPTHWISE: deep}
    memory = raw_program(config, b"", [copy(config, 1)]).new_memory()
    cases = []
    for opcode, kernels in kinds.items():
        for height, width in kernels:
            kernel = {"kernel_height": height, "kernel_width": width}
            data = pack_descriptor({**copy(config, 1), "opcode": opcode, **pixel, **kernel})
            code = _code_of(config, memory, data)
            cases.append(OddCase(offset=0, data=data, field=f"kernel ({height} x {width})", code=code))
    for number in range(_PARTS):
        yield OddDescriptors(name=f"kernels {number}", memory=memory, cases=tuple(cases[number::_PARTS]))


def _code_of(config: CoreConfig, memory: npt.NDArray[np.uint8], data: bytes) -> ErrorCode:
    """What the functional model says of a descriptor at the beginning of the memory."""
    window = memory.copy()
    window[: len(data)] = np.frombuffer(data, dtype=np.uint8)
    try:
        CoreModel(config).run(window, 0, 1)
    except CoreFault as fault:
        return ErrorCode(fault.code)
    return ErrorCode.NONE


def _long_streams(config: CoreConfig) -> Iterator[OddDescriptors]:
    """Weight streams that are too long by each bit of their length, alone and behind others that wait."""
    stream = dense_stream(config, np.random.default_rng(4))
    matmul = {**stream.fields, **ANY_ORDER, "destination": 128}
    size, beat = matmul["dram_bytes"], config.beat_bytes
    more = [beat << bit for bit in range(_MOST_BYTES.bit_length()) if not size & beat << bit]
    long = copy(config, _WAITED_TOKENS, destination=128)
    for name, ahead in {"alone": [], "behind others": [long, {**matmul, "vectors_open": 0}, *[matmul] * 7]}.items():
        program = raw_program(config, stream.weights, [*ahead, matmul])
        offset = program.descriptor_offset + len(ahead) * DESCRIPTOR_BYTES
        for number in range(_PARTS):
            cases = [
                OddCase(
                    offset=offset,
                    data=pack_descriptor({**matmul, "dram_bytes": size + extra}),
                    field=f"length, by {extra} bytes",
                    code=ErrorCode.WEIGHT_LENGTH,
                )
                for extra in more[number::_PARTS]
                if size + extra <= _MOST_BYTES
            ]
            yield OddDescriptors(
                name=f"long streams {name} {number}",
                memory=program.new_memory(),
                cases=tuple(cases),
                ahead=len(ahead),
                window=_MOST_BYTES,
            )


def extreme_errors(config: CoreConfig) -> Iterator[ErrorCase]:
    """Errors whose address has any low bits: in each burst of a STORE, and behind the activation memory."""
    words = 2 * _BURSTS * BURST_BYTES // config.word_bytes
    for number in range(2 * _BURSTS):
        first, burst = divmod(number, _BURSTS)
        program = raw_program(config, b"", [store(config, words // 2, at=first * BURST_BYTES)], words=words)
        offset = program.descriptor(0)["dram_offset"] + burst * BURST_BYTES
        fault = Fault(first=offset, last=offset, response=SLAVE_ERROR, writes=True)
        settings = {"behaviour": Behaviour(faults=(fault,), latency=2)}
        work = Work(program=program, inputs={}, expected={})
        name = f"STORE from burst {first}, error in the {burst + 1}th"
        yield failing(name, work, ErrorCode.WRITE_SLAVE, 0, BASE + offset, settings=settings)
    depth = config.activation_depth
    for bit in range(depth.bit_length(), FIELD_BY_NAME["tokens"].width):
        program = raw_program(config, b"", [copy(config, 1 << bit, source=depth - 3)])
        work = Work(program=program, inputs={}, expected={})
        yield failing(f"{1 << bit} tokens", work, ErrorCode.ACTIVATION_RANGE, 0, depth)
