import tomllib

import pytest
from superloop_plugin_lab.experiment import read_experiment

from superloop_core import ConfigError

CELL = {"use": "gru", "units": 3}
COPY = {"loop": {"cells": [CELL]}, "task": {"use": "copy", "length": 3, "width": 2}, "train": {"xla": False}}


def test_inputs_and_outputs_may_be_left_out(small):
    loop = read_experiment(COPY).config.loop
    assert (loop.inputs, loop.outputs, loop.timesteps) == (3, 2, 0)
    tape = {name: value for name, value in small["loop"].items() if name != "timesteps"}
    assert read_experiment(small | {"loop": tape}).config.loop.timesteps == 8
    assert read_experiment(COPY, ["task.width=5"]).config.loop.inputs == 6


def test_what_is_given_is_left_alone_and_refused_where_it_does_not_fit():
    with pytest.raises(
        ConfigError, match=r"shape \(7, 3\), but the loop takes \(any, 2\); set loop.inputs = 3"
    ):
        read_experiment(COPY, ["loop.inputs=2"])
    with pytest.raises(ConfigError, match=r"needs a loop with 2 outputs: 4; set loop\.outputs = 2"):
        read_experiment(COPY, ["loop.outputs=4"])


def test_the_run_folder_has_the_whole_values(train_to, tmp_path):
    train = {"steps": 1, "batch_size": 2, "evaluate_on": 2, "final_on": 2, "xla": False}
    folder = train_to(COPY | {"train": train}, tmp_path / "run")
    loop = tomllib.loads(folder.config.read_text())["loop"]
    assert (loop["inputs"], loop["outputs"], loop["timesteps"]) == (3, 2, 0)


def test_a_task_that_cannot_be_made_hides_no_other_problem():
    with pytest.raises(ConfigError) as refused:
        read_experiment(COPY, ["task.width=0", "loop.cells.0.units=0", "loop.depth=3"])
    assert [problem.where for problem in refused.value.problems] == [
        "loop",
        'loop.cells[0] "gru"',
        'task "copy"',
    ]
