"""Files of compiled networks with a right digest and wrong content: refused by their documented errors, or run."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from command_models import run
from test_network_file import changed, hosted, transformer

from ssvq.network import GraphError
from ssvq.network.files.network_file import CompiledModel, NetworkFileError, network_from_bytes, network_to_bytes

WRONG: tuple[Any, ...] = (None, True, -1, 0, 1, 3, 1 << 40, 1 << 70, -0.5, "", "[bold]", [], [1], {}, {"map": []})
COUNT = 12
"""Files of each network and kind."""
STARTS = "here the simulator would start"


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every list or object of a tree, with a place in it."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from places(tree[key])


def replaced(tree: Any, chance: random.Random) -> None:
    """Change one place: another value, one of the tree's own, one less or one more."""
    found = list(places(tree))
    inside, key = chance.choice(found)
    kind = chance.random()
    if kind < 0.5:
        inside[key] = copy.deepcopy(chance.choice(WRONG))
    elif kind < 0.8:
        other, place = chance.choice(found)
        inside[key] = copy.deepcopy(other[place])
    elif kind < 0.9 or isinstance(inside, dict):
        del inside[key]
    else:
        inside.insert(key, copy.deepcopy(inside[key]))


def shifted(tree: Any, chance: random.Random) -> None:
    """Change one number or name to another of its kind, which most often has a type that is expected."""
    found = [(inside, key) for inside, key in places(tree) if isinstance(inside[key], int | float | str)]
    inside, key = chance.choice(found)
    value = inside[key]
    if isinstance(value, bool):
        inside[key] = not value
    elif isinstance(value, int):
        inside[key] = chance.choice([0, 1, -1, value + 1, value - 1, 2 * value, 1 << 16, 1 << 40, 1 << 64])
    elif isinstance(value, float):
        inside[key] = chance.choice([0.0, -value, {"float": "inf"}, {"float": "nan"}, 1e300, 1e-300, 2 * value])
    else:
        alike = [other[place] for other, place in found if place == key and isinstance(other[place], str)]
        inside[key] = chance.choice([*alike, "", "[bold]", "\u2028", "</script>"])


def sorted_words() -> CompiledModel:
    """With a look-up, a softmax and a sort on the host."""
    return hosted(lambda m, ids: m.b(m.a(m.table(ids)).softmax(1).sort(1).values))


def no_simulator(*_arguments: object, **_settings: object) -> NoReturn:
    from ssvq_sim.runner import SimulationError

    raise SimulationError(STARTS)


@pytest.mark.parametrize(("make", "seed"), [(transformer, 5), (sorted_words, 6)])
@pytest.mark.parametrize("mutate", [replaced, shifted])
def test_mutations_end_in_documented_errors(
    make: Callable[[], CompiledModel],
    seed: int,
    mutate: Callable[[Any, random.Random], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ssvq_sim.network_backend.run_jobs", no_simulator)
    torch.set_num_threads(1)
    model, chance, path = make(), random.Random(seed), tmp_path / "net.ssvqnet"
    content = network_to_bytes(model)
    read = []
    for _ in range(COUNT):
        edited = changed(content, lambda tree: mutate(tree, chance))
        try:
            found = network_from_bytes(edited)
        except NetworkFileError:
            continue
        read.append(edited)
        try:
            found.network.run_reference(tuple(model.sample.values()))
        except GraphError:
            continue
    assert 0 < len(read) < COUNT or mutate is replaced
    for edited in read[:2]:
        path.write_bytes(edited)
        for arguments, codes in (
            (["inspect", path], {0}),
            (["report", path, "-o", tmp_path / "page.html"], {0, 2}),
            (["run", path], {0, 2}),
            (["run", path, "--backend", "sim"], {1, 2}),
        ):
            result = run(*arguments)
            assert result.exit_code in codes, result.output
            assert result.exception is None or isinstance(result.exception, SystemExit)
            assert result.exit_code != 1 or f"error: {STARTS}" in result.output
