"""The figures of a run, for programs; the names of version 0.1 too."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from superloop_plugin_lab import read_metrics, read_summary
from superloop_plugin_lab.figures import new_names, old_names

from superloop_core import ConfigError, RunFolderError

OLD_RUNS = Path(__file__).parents[3] / "tests/golden/version_0_1/run_folders"
LINES = (
    {"step": 2, "train_loss": 0.5, "train_accuracy": 1.0, "longest": 3},
    {"step": 3, "validation_loss": 0.5, "validation_bits": 2.0},
    {"step": 4, "failed": "the loss"},
    {"final": True, "test_loss": 0.5, "test_wrong_bits": 1.0, "steps": 7, "seconds": 0.5, "best_step": 3},
)


def test_a_line_has_the_same_figures_in_the_names_of_version_0_1_and_of_today():
    old = [old_names(line) for line in LINES]
    assert old[0] == {"step": 2, "loss": 0.5, "accuracy": 1.0, "longest": 3}
    assert old[1] == {"step": 3, "fresh_loss": 0.5, "fresh_bits": 2.0}
    assert old[3] == {
        "final": True, "loss": 0.5, "wrong_bits": 1.0, "steps": 7, "seconds": 0.5, "best_step": 3,
    }  # fmt: skip
    assert [new_names(line) for line in old] == list(LINES)


def test_a_frame_has_a_row_for_each_step_with_figures(run):
    pytest.importorskip("pandas")
    frame = read_metrics(run.path)
    assert list(frame.index) == [0, 2, 3, 4, 6, 7]
    assert frame.loc[[2, 4, 6, 7], "train_loss"].notna().all()
    assert frame["validation_accuracy"].dropna().index.to_list() == [0, 3, 6, 7]
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert frame.loc[7, "validation_loss"] == lines[-2]["validation_loss"]
    assert all(frame.dtypes == "float64")


def test_a_frame_of_version_0_1_has_the_names_of_today():
    pytest.importorskip("pandas")
    frame = read_metrics(OLD_RUNS / "finished")
    assert frame.loc[20, "train_loss"] == 18.515783166885377
    assert frame.loc[10, "validation_final_distance"] == 4.38538122177124
    assert read_summary(OLD_RUNS / "finished")["test_loss"] == 19.075912475585938


def test_without_pandas_the_error_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install superloop-plugin-lab\[pandas\]"):
        read_metrics(run.path)


def test_the_summary_has_the_final_figures_and_where_they_come_from(run):
    summary, final = read_summary(run.path), json.loads(run.metrics.read_text().splitlines()[-1])
    assert summary | {name: value for name, value in final.items() if name != "final"} == summary
    assert (summary["steps"], summary["seed"], summary["complete"]) == (7, 0, True)
    assert {"superloop-core", "superloop-plugin-tasks", "keras", "tensorflow"} <= summary["versions"].keys()


def test_a_summary_that_was_changed_or_is_not_written_yet_is_refused(run, tmp_path):
    folder = shutil.copytree(run.path, tmp_path / "run")
    (folder / "summary.json").write_text("{}")
    with pytest.raises(RunFolderError, match=r"summary\.json: has 2 bytes, and had"):
        read_summary(folder)
    (folder / "manifest.json").unlink()
    (folder / "summary.json").unlink()
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(ConfigError, match="training has not ended; end it: superloop resume"):
        read_summary(folder)
