import math

import pytest
from superloop_plugin_lab.grouping import MAX_NAME, differences, folder_name, short_keys, statistics_of


def test_the_name_of_a_folder_tells_the_changes_in_short_and_safe_words():
    changes = ["loop.cells.0.units=32", 'task.use="a:b/../c d"', "train.seed=3", "loop.cells.0.units = 16"]
    assert folder_name("copy", changes) == "copy+units=16+use=a-b-..-c-d+seed=3"
    assert folder_name("copy", []) == "copy"
    long = folder_name("copy", [f"train.setting_{index}={'x' * 100}" for index in range(9)])
    assert len(long) == MAX_NAME


def test_keys_are_as_long_as_it_takes_to_tell_them_apart():
    keys = ["loop.cells.0.units", "loop.cells.1.units", "train.steps", "curriculum.steps", "seed"]
    assert list(short_keys(keys).values()) == [
        "0.units",
        "1.units",
        "train.steps",
        "curriculum.steps",
        "seed",
    ]


def test_configs_differ_in_keys_and_not_in_the_versions_of_plugins():
    one = {"loop": {"cells": [{"use": "lstm", "units": 4}]}, "plugins": {"a": "1"}}
    other = {"loop": {"cells": [{"use": "lstm", "units": 8, "layers": 2}]}, "plugins": {"a": "2"}}
    assert differences([one, other]) == {"loop.cells.0.units": (4, 8), "loop.cells.0.layers": ("", 2)}


def test_the_best_accuracy_is_the_highest_and_the_best_loss_the_lowest():
    found = statistics_of(
        [
            {"test_loss": 1.0, "test_accuracy": 0.2, "seconds": 3},
            {"test_loss": None, "test_accuracy": 0.6},
            {"test_loss": 4.0, "test_accuracy": 0.1},
        ]
    )
    loss, accuracy = found["test_loss"], found["test_accuracy"]
    assert list(found) == ["test_loss", "test_accuracy"]
    assert (loss.count, loss.mean, loss.median, loss.best, loss.worst) == (2, 2.5, 2.5, 1.0, 4.0)
    assert loss.deviation == pytest.approx(math.sqrt(4.5))
    assert (accuracy.count, accuracy.median, accuracy.best, accuracy.worst) == (3, 0.2, 0.6, 0.1)
    assert statistics_of([{"test_loss": 1.0}])["test_loss"].deviation is None


def test_the_best_of_a_metric_is_what_the_metric_says():
    runs = [{"test_f1": f1, "test_odd_accuracy": f1} for f1 in (0.2, 0.6)]
    assert statistics_of(runs)["test_f1"].best == 0.2
    known = {"higher_is_better": {"test_f1": True, "test_odd_accuracy": False}}
    found = statistics_of([run | known for run in runs])
    assert (found["test_f1"].best, found["test_odd_accuracy"].best) == (0.6, 0.2)
