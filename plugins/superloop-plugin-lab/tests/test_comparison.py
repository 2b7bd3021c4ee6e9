import csv
import io
import json
from pathlib import Path

import pytest
import tomli_w
from matplotlib.image import imread
from superloop_plugin_lab.comparison import Group, as_latex, find_runs, group_names, group_runs, read_curve
from superloop_plugin_lab.grouping import ABSENT

from superloop_core import ConfigError


@pytest.fixture
def written(tmp_path):
    """Writes the files of a run that comparing reads."""

    def write(name, units, seed, accuracy=None, **train):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        config = {
            "loop": {"inputs": 2, "cells": [{"use": "lstm", "units": units}]},
            "task": {"use": "copy", "length": 4},
            "train": {"seed": seed, **train},
            "plugins": {"superloop-core": f"0.1.{seed}"},
        }
        (folder / "config.toml").write_text(tomli_w.dumps(config))
        lines = [
            {"step": 0, "validation_accuracy": 0.25},
            {"step": 5, "train_loss": 2.0},
            {"step": 5, "validation_accuracy": None if accuracy is None else accuracy / 2},
        ]
        if accuracy is not None:
            figures = {"test_accuracy": accuracy, "test_loss": 1 - accuracy}
            lines.append({"final": True, **figures})
            summary = json.dumps({**figures, "complete": True})
            (folder / "summary.json").write_text(summary)
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return folder

    return write


@pytest.fixture
def runs(written, tmp_path):
    """Two groups of seeds, and a run that has not ended."""
    for seed, accuracy in enumerate((0.5, 0.75, 1.0)):
        written(f"a/seed-{seed}", 8, seed, accuracy)
    written("sweep/trial-2", 16, 0, 0.125)
    written("sweep/trial-10", 16, 1)
    return tmp_path


def test_run_folders_are_found_at_any_depth_and_once(runs):
    (runs / "a/notes.txt").write_text("mine")
    found = find_runs([runs / "sweep/trial-10", runs])
    names = [run.name for run in found]
    assert names == ["trial-10", "seed-0", "seed-1", "seed-2", "trial-2"]
    (runs / "empty").mkdir()
    for missing in ("empty", "absent"):
        with pytest.raises(ConfigError, match=missing):
            find_runs([runs / missing])


def test_runs_that_differ_in_the_seed_only_are_a_group(runs):
    groups = group_runs(find_runs([runs]))
    assert group_names(groups) == ["units=8", "units=16"]
    assert [(group.complete, len(group.runs)) for group in groups] == [(3, 3), (1, 2)]
    found = groups[0].statistics["test_accuracy"]
    assert (found.count, found.mean, found.deviation, found.median) == (3, 0.75, 0.25, 0.75)
    assert groups[0].statistics["test_loss"].best == 0.0
    (alone,) = group_runs([runs / "a/seed-1"])
    assert group_names([alone]) == ["seed-1"]


def test_a_run_that_was_resumed_and_killed_is_not_complete(runs):
    (runs / "a/seed-2/metrics.jsonl").write_text('{"step": 9, "validation_accuracy": 0.5}\n')
    assert group_runs(find_runs([runs]))[0].complete == 2


def test_the_table_is_printed_as_text_csv_json_and_latex(runs, superloop):
    code, out, err = superloop("compare", runs)
    assert code == 0
    assert "note: 1 of 5 runs are not complete (pruned, stopped or still training); their figures are" in err
    assert [line.split() for line in out.splitlines()] == [
        ["units", "runs", "test_accuracy", "test_loss"],
        ["8", "3", "75.00%", "±", "25.00%", "0.25", "±", "0.25"],
        ["16", "1", "of", "2", "12.50%", "0.875"],
    ]
    _, out, _ = superloop("compare", runs, "--csv")
    first, second = csv.DictReader(io.StringIO(out))
    assert (first["loop.cells.0.units"], first["runs"], first["test_accuracy_best"]) == ("8", "3", "1.0")
    assert (second["complete"], second["test_accuracy_deviation"]) == ("1", "")
    _, out, _ = superloop("compare", runs, "--json")
    first, second = json.loads(out)
    assert first["settings"] == {"loop.cells.0.units": 8}
    assert first["figures"]["test_accuracy"]["worst"] == 0.5
    assert [run.rpartition("/")[2] for run in second["runs"]] == ["trial-2", "trial-10"]
    _, out, _ = superloop("compare", runs, "--latex")
    assert r"8 & 3 & 75.00\% $\pm$ 25.00\% & 0.25 $\pm$ 0.25 \\" in out.splitlines()


def test_a_seed_that_comes_twice_is_noted(written, superloop, tmp_path):
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        written(name, 8, seed, 0.5)
    _, _, error = superloop("compare", tmp_path)
    assert "note: 1 of 3 runs have the config and the seed of another one" in error


def test_latex_is_escaped():
    table = as_latex(["a_b"], [["50% & #1 {x} \\ ~^ <"]], left=1)
    assert r"a\_b \\" in table
    assert r"50\% \& \#1 \{x\} \textbackslash{} \textasciitilde{}\textasciicircum{} \textless{} \\" in table


def test_curves_are_drawn_and_an_unknown_metric_is_rejected(runs, superloop, tmp_path):
    assert read_curve(runs / "a/seed-2", "validation_accuracy") == {0: 0.25, 5: 0.5}
    assert read_curve(runs / "sweep/trial-10", "validation_accuracy") == {0: 0.25}
    code, out, _ = superloop("compare", runs, "--curves", tmp_path / "new/c.png", "--metric", "train_loss")
    assert code == 0
    assert out.endswith("new/c.png\n")
    assert imread(tmp_path / "new/c.png").min() < 0.5
    code, _, err = superloop("compare", runs, "--curves", tmp_path / "d.png", "--metric", "loss")
    assert code == 2
    assert "has no such figure; it has validation_accuracy, train_loss" in err
    assert not (tmp_path / "d.png").exists()


def test_pictures_need_a_known_format_and_lengths(runs, superloop):
    assert "must end in .png" in superloop("compare", runs, "--curves", runs / "c.gif")[2]
    assert "--plot and --lengths need each other" in superloop("compare", runs, "--plot", "c.png")[2]


@pytest.mark.slow
def test_accuracy_is_drawn_against_length(superloop, run, tmp_path):
    arguments = ("--plot", tmp_path / "l.svg", "--lengths", "3:5:2", "--sequences", 8)
    code, out, _ = superloop("compare", run.path, *arguments)
    assert code == 0
    assert out.endswith("l.svg\n")
    assert "<svg" in (tmp_path / "l.svg").read_text()


def test_where_plugins_differ_their_settings_say_no_more():
    lstm = {
        "loop.cells.0.use": "superloop-plugin-cells:lstm",
        "loop.cells.0.units": 4,
        "loop.systems": ABSENT,
    }
    stack = {"loop.systems.0.use": "superloop-plugin-stacks:stack", "loop.systems.0.depth": 3}
    gru = {"loop.cells.0.use": "superloop-plugin-cells:gru", "loop.cells.0.units": 8, "loop.systems": []}
    groups = [
        Group(settings=lstm | stack, runs={Path("a"): None}),
        Group(settings=gru | dict.fromkeys(stack, ABSENT), runs={Path("b"): None}),
    ]
    assert group_names(groups) == [
        "cells.0.use=lstm, units=4, systems.0.use=stack",
        "cells.0.use=gru, units=8, systems.0.use=none",
    ]
