from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ssvq.train.training_log import CSV_NAME, TENSORBOARD_NAME, TrainingLog

COLUMNS = ("loss", "accuracy")


def _log(folder: Path, *, step: int = 0, tensorboard: bool = False) -> TrainingLog:
    return TrainingLog(folder, COLUMNS, step=step, tensorboard=tensorboard)


def _lines(folder: Path) -> list[str]:
    return (folder / CSV_NAME).read_text().splitlines()


def test_rows_are_there_as_soon_as_they_are_written(tmp_path: Path) -> None:
    log = _log(tmp_path)
    log.write(2, {"loss": 0.1})
    log.write(4, {"accuracy": 1.0, "loss": 1e-20})
    assert _lines(tmp_path) == ["step,loss,accuracy", "2,0.1,", "4,1e-20,1.0"]
    with pytest.raises(ValueError, match=r"values must have columns, not \['lost'\]"):
        log.write(5, {"lost": 1.0})
    log.close()


def test_rows_after_the_step_from_which_training_goes_on_go(tmp_path: Path) -> None:
    log = _log(tmp_path)
    for step in (2, 4, 6):
        log.write(step, {"loss": float(step)})
    log.close()
    with (tmp_path / CSV_NAME).open("a") as file:
        file.write("8,7.")  # the process was killed
    log = _log(tmp_path, step=5)
    log.write(6, {"loss": 7.0})
    log.close()
    assert _lines(tmp_path) == ["step,loss,accuracy", "2,2.0,", "4,4.0,", "6,7.0,"]
    _log(tmp_path).close()
    assert _lines(tmp_path) == ["step,loss,accuracy"]


def test_a_log_of_other_columns_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / CSV_NAME).write_text("step,other\n2,3\n")
    _log(tmp_path, step=4).close()
    assert _lines(tmp_path) == ["step,loss,accuracy"]


def test_tensorboard_gets_the_same(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = _log(tmp_path, tensorboard=True)
    assert log.has_tensorboard
    for step in (2, 4):
        log.write(step, {"loss": float(step)})
    log.close()
    log = _log(tmp_path, step=3, tensorboard=True)
    log.write(4, {"loss": 8.0})
    log.close()
    events = accumulator.EventAccumulator(str(tmp_path / TENSORBOARD_NAME)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(2, 2.0), (4, 8.0)]
    _log(tmp_path, tensorboard=True).close()
    assert not accumulator.EventAccumulator(str(tmp_path / TENSORBOARD_NAME)).Reload().Tags()["scalars"]


def test_without_tensorboard_there_is_the_csv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    log = _log(tmp_path, tensorboard=True)
    assert not log.has_tensorboard
    log.write(2, {"loss": 0.5})
    log.close()
    assert len(_lines(tmp_path)) == 2
