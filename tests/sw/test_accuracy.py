from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from rich.console import Console
from tiny_training import write_recipe
from torch import nn

from ssvq.accuracy.execute import begin
from ssvq.accuracy.plan import full_plan, in_order, quick_plan
from ssvq.accuracy.report import JSON_NAME, RUNS_NAME, TABLES_NAME, write_report
from ssvq.accuracy.store import Outcome, Store, StoreError
from ssvq.accuracy.study import Row, Run
from ssvq.accuracy.summary import summarise
from ssvq.accuracy.workers import claimed
from ssvq.models.registry import load_model
from ssvq.quantize.description import canonical_weight
from ssvq.quantize.rules import select_layers
from ssvq.quantize.target import Target
from ssvq.train.interrupt import Interrupt
from ssvq.train.processes import Processes
from ssvq.train.recipe import Recipe
from ssvq.train.run import finish
from ssvq.train.tables import read_table
from ssvq.train.tasks.hidden_states import hidden_layers


def _rows() -> list[Row]:
    def run(seed: int) -> Run:
        return Run(family="minilm", table={"training": {"seed": seed}})

    runs = tuple(run(seed) for seed in range(3))
    return [
        Row(model="minilm", method="ssvq", bits=1.5, variant="short", runs=runs),
        Row(model="minilm", method="float", bits=32, variant="pretrained", runs=(run(9),)),
    ]


def _outcome(run: Run, cosine: float) -> Outcome:
    curve = {"step": [1.0, 2.0], "signs_frozen": [0.0, 0.25], "sign_flip_rate": [0.1, None]}
    return Outcome(
        digest=run.digest(), metrics={"cosine": cosine}, bits_per_weight=1.57, file_ratio=20.0, seconds=1.0, curve=curve
    )


@pytest.mark.parametrize("rows", [full_plan(), quick_plan()], ids=["full", "quick"])
def test_all_runs_are_valid_recipes_and_differ(rows: list[Row]) -> None:
    runs = [run for row in rows for run in row.runs]
    for run in runs:
        read_table(Recipe, run.table, "")
    assert len({run.digest() for run in runs}) == len(runs)
    assert len({(row.model, row.method, row.bits, row.variant) for row in rows}) == len(rows)


@pytest.mark.parametrize("name", sorted({row.model for row in full_plan()}))
def test_codebooks_fit_the_layers(name: str) -> None:
    model = load_model(name)
    firsts = [row.runs[0].table for row in full_plan() if row.model == name]
    for table in {str(table["rules"]): table for table in firsts if table.get("rules")}.values():
        rules = [settings.rule(seed=0) for settings in read_table(Recipe, table, "").rules]
        for layer, (module, config) in select_layers(model, rules).items():
            if config.weights.codebook_size is not None:
                size, dim = config.weights.codebook
                weight = module.weight
                if isinstance(module, nn.ConvTranspose2d):
                    weight = canonical_weight(weight, "conv_transpose2d", module.groups)
                target = Target.make(weight, dim, config.weights.format)
                assert target.width == weight.shape[1], f"{layer}: {weight.shape[1]} channels, d={dim}"
                assert target.count >= size, f"{layer}: {target.count} subvectors, k={size}"


@pytest.mark.parametrize("name", sorted({row.model for row in full_plan() if row.runs[0].reconstruction}))
def test_all_blocks_of_a_model_are_reconstructed(name: str) -> None:
    blocks = hidden_layers(load_model(name))
    firsts = [row.runs[0].reconstruction for row in full_plan() if row.model == name]
    for reconstruction in filter(None, firsts):
        assert reconstruction.blocks[: len(blocks)] == blocks


def test_every_row_has_its_first_seed_before_any_has_its_second() -> None:
    order = [run.table["training"]["seed"] for _, run in in_order(_rows())]
    assert order == [0, 9, 1, 2]


def test_means_and_deviations_over_the_seeds_that_are_done(tmp_path: Path) -> None:
    rows, store = _rows(), Store(tmp_path)
    for run, cosine in zip(rows[0].runs[:2], (0.8, 0.9), strict=True):
        store.put(_outcome(run, cosine))
    figures = {figure.metric: figure for figure in summarise(rows, lambda run: store.get(run.digest()))}
    assert set(figures) == {"cosine", "signs frozen"}
    assert figures["cosine"].mean == pytest.approx(0.85)
    assert figures["cosine"].std == pytest.approx(0.1 / 2**0.5)
    assert figures["cosine"].seeds == 2
    assert figures["signs frozen"].mean == 0.25


def test_a_report_has_all_figures_and_can_be_taken_as_done(tmp_path: Path) -> None:
    rows, store = _rows(), Store(tmp_path / "runs")
    for row in rows:
        for run in row.runs:
            store.put(_outcome(run, 0.9))
    write_report(tmp_path / "out", rows, lambda run: store.get(run.digest()))
    written = json.loads((tmp_path / "out" / JSON_NAME).read_text())["rows"]
    keys = {"model", "method", "variant", "bits_per_weight", "file_ratio", "metric", "mean", "std", "seeds"}
    assert all(keys <= set(figure) for figure in written)
    assert (
        "| ssvq | short | 1.570 | 20.0 | 3 | 0.9000 ± 0.0000 | 0.2500 ± 0.0000 |"
        in (tmp_path / "out" / TABLES_NAME).read_text()
    )
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".jsonl", ".md", ".svg", ".png"}
    other = Store(tmp_path / "other")
    assert other.take(tmp_path / "out" / RUNS_NAME) == 4
    assert other.take(tmp_path / "out" / RUNS_NAME) == 0
    assert all(other.get(run.digest()) == store.get(run.digest()) for row in rows for run in row.runs)


def test_malformed_results_are_named(tmp_path: Path) -> None:
    (tmp_path / "abc.json").write_text('{"digest": 1}')
    with pytest.raises(StoreError, match=r"abc\.json is no result, delete it"):
        Store(tmp_path).get("abc")
    with pytest.raises(StoreError, match=r"abc\.json is no file of results"):
        Store(tmp_path / "x").take(tmp_path / "abc.json")


def test_a_run_is_claimed_by_one(tmp_path: Path) -> None:
    with claimed(tmp_path, "a") as first, claimed(tmp_path, "a") as second, claimed(tmp_path, "b") as other:
        assert (first, second, other) == (True, False, True)
    with claimed(tmp_path, "a") as again:
        assert again


def test_a_run_that_was_begun_with_other_settings_begins_anew(tmp_path: Path) -> None:
    """As after an update in which recipes have one setting more."""
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    path, work = write_recipe(recipe), tmp_path / "work"
    processes, console = Processes.start(), Console(quiet=True)

    def begun(*overrides: str) -> int:
        read = Recipe.load(str(path), [f"output.folder={work}", "training.checkpoint_steps=1", *overrides])
        run = begin(read, work, processes, console)
        start = run.trainer.step
        if start == 0:
            interrupt = Interrupt()
            interrupt.signal = signal.SIGTERM
            assert finish(run, interrupt) is None
        return start

    assert begun() == 0
    assert begun() == 1
    assert begun("optimizer.warmup=0.5") == 0


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("[1]", "an outcome must have digest, metrics and seconds"),
        ('{"digest": "a", "metrics": {}, "seconds": 1, "more": 1}', "an outcome must have digest, metrics and seconds"),
        ('{"digest": "../../x", "metrics": {}, "seconds": 1}', "digest must be letters and digits, at most 64, not"),
        ('{"digest": "a\\u0000", "metrics": {}, "seconds": 1}', "digest must be letters and digits, at most 64, not"),
        ('{"digest": null, "metrics": {}, "seconds": 1}', "digest must be letters and digits, at most 64, not None"),
        ('{"digest": "a", "metrics": {"x": "1"}, "seconds": 1}', "metrics must be numbers by name, not"),
        ('{"digest": "a", "metrics": {}, "seconds": true}', "seconds must be a number, not True"),
        ('{"digest": "a", "metrics": {}, "seconds": 1, "curve": [1]}', "curve must be lists by name, not"),
        ('{"digest": "a", "metrics": {}, "seconds": 1, "curve": {"x": ["1"]}}', "columns of curve must have numbers"),
        ("[" * 5000, "maximum recursion depth exceeded"),
        ("nothing", "Expecting value"),
    ],
)
def test_a_line_that_is_no_outcome_is_refused(line: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_text(line + "\n")
    with pytest.raises(StoreError, match=rf"runs\.jsonl is no file of results: .*{text}"):
        Store(tmp_path / "store").take(tmp_path / "runs.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.jsonl"]
