"""When descriptors begin: jobs in which one may overtake another, and what the profile shows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, pairwise

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import FIELD_BY_NAME, Opcode

from ..behaviour import JobResult
from ..systems.outcome import Beats
from ..systems.work import Work
from .modelled_job import WATCHDOG_CYCLES
from .profile_rules import KINDS, open_before, problems_with_profile
from .raw_programs import ANY_ORDER, LongParts, copy, load, raw_work, store
from .scenario import JobScenario

_IN_ENGINE = {"loads_open": 1, "stores_open": 1, "matmuls_open": 2, "vectors_open": 1}
"""Descriptors of a kind that have begun and are not complete, at most."""
_PAIRS = 7
_TIMES = 5
"""Experiments in a job: the profile has room for three descriptors of each, and one LOAD."""
_NEXT_CYCLES = 7
"""From the last activation of a matrix descriptor to the first of the next one, which nothing holds up: 5 for the
profile, one to take the command and one to look at it."""
_MEETINGS = ((Opcode.LOAD, 12, 4), (Opcode.STORE, 30, 11), (Opcode.SUM, 8, 4), (Opcode.SUM, 8, 11))
"""What is beside matrix descriptors of several lengths, how many words of it, and the fewest tokens. In each profile
there are two ends in one cycle; which words do that was found by trying."""
_ENDS_WITH_COMPUTE = (40, 23)
"""Tokens of matrix descriptors, and the fewest words of LOADs that end just when their last activation is in."""


def order_scenarios(config: CoreConfig) -> Iterator[JobScenario]:
    """Jobs whose profiles have to show who waited for whom."""
    parts = LongParts(config)
    for field, long in parts.long.items():
        values = [0] + [1 << bit for bit in range(FIELD_BY_NAME[field].width)]
        last = (
            copy(config, 1, destination=LongParts.FREE)
            if field == "loads_open"
            else load(config, 1, destination=LongParts.FREE)
        )
        trio = [[long, {**long, **ANY_ORDER}, {**last, **ANY_ORDER, field: value}] for value in values[:_TIMES]]
        descriptors = [parts.first, *(d for three in trio for d in three)]
        work = raw_work(config, parts.data, descriptors, words=LongParts.WORDS * (field == "stores_open"))
        yield _scenario(config, f"{field} in use", work, partial(_wrongly_open, field, values))
    bits = [1 << bit for bit in range(FIELD_BY_NAME["early_tiles"].width)]
    for half in (bits[::2], bits[1::2]):
        # Odd and even numbers of cycles: what happens every other cycle is met at both.
        early = [
            {**parts.matmul, **ANY_ORDER, "early_tiles": tiles, "tokens": config.accumulator_depth - number % 2}
            for number, tiles in enumerate([0, *half, 0])
        ]
        work = raw_work(config, parts.data, [parts.first, parts.matmul, *early])
        yield _scenario(config, f"early_tiles from {half[0]}", work, _wrongly_early)
    yield from _meetings(config, parts)


def _meetings(config: CoreConfig, parts: LongParts) -> Iterator[JobScenario]:
    """Jobs in which other descriptors end together with matrix descriptors, so that one has to wait to be recorded."""
    for opcode, words, fewest in _MEETINGS:
        other = {
            Opcode.LOAD: load(config, words, destination=LongParts.FREE),
            Opcode.STORE: store(config, words),
            Opcode.SUM: copy(config, words, destination=LongParts.FREE),
        }[opcode]
        pairs = [[{**parts.matmul, "tokens": fewest + i}, {**other, **ANY_ORDER}] for i in range(_PAIRS)]
        work = raw_work(config, parts.data, [parts.first, *chain(*pairs)], words=words * (opcode == Opcode.STORE))
        yield _scenario(config, f"{opcode.name} of {words} words beside {fewest} tokens and more", work, _wrongly_early)
    tokens, fewest = _ENDS_WITH_COMPUTE
    matmul = {**parts.matmul, **ANY_ORDER, "tokens": tokens, "early_tiles": 1}
    pairs = [[matmul, {**load(config, fewest + i, destination=LongParts.FREE), **ANY_ORDER}] for i in range(_PAIRS)]
    pairs[0][0] = {**matmul, "loads_open": 0}
    work = raw_work(config, parts.data, [parts.first, *chain(*pairs)])
    yield _scenario(config, f"LOAD of {fewest} words and more beside {tokens} tokens", work, _wrongly_early)


def _scenario(
    config: CoreConfig,
    name: str,
    work: Work,
    look: Callable[[Work, JobResult], Iterator[str]],
) -> JobScenario:
    def check(result: JobResult, before: Beats) -> list[str]:
        problems = problems_with_profile(config, work.program, work.expected, result, before)
        return problems or list(look(work, result))

    settings = {"profile": True, "watchdog_cycles": WATCHDOG_CYCLES}
    return JobScenario(job=work.job(name, **settings), check=check)


def _wrongly_open(field: str, values: Sequence[int], work: Work, result: JobResult) -> Iterator[str]:
    """The third of each three has to begin as soon as its field allows."""
    rows = result.profile.rows if result.profile else ()
    for number, value in enumerate(values):
        index, wanted = 3 * number + 3, min(value, _IN_ENGINE[field])
        found = open_before(rows, index, KINDS[field])
        if found != wanted:
            yield f"with {field} {value}, {found} are incomplete and not {wanted}"


def _wrongly_early(work: Work, result: JobResult) -> Iterator[str]:
    """A matrix descriptor begins before the end of the one before exactly when it has early tiles, and then at once."""
    rows = [row for row in (result.profile.rows if result.profile else ()) if row.is_matrix]
    for row, after in pairwise(rows):
        tiles = work.program.descriptor(after.index)["early_tiles"]
        gap = (after.compute_begin or 0) - (row.compute_end or 0)
        is_early = after.compute_begin is not None and after.compute_begin < row.end
        if is_early != bool(tiles) or (tiles and gap > _NEXT_CYCLES):
            yield f"with early_tiles {tiles}, the first activation is {gap} cycles behind the last one before"
