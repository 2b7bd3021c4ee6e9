"""A system that can be fed the length of a task's content is fed it, where the config leaves that open."""

import numpy as np
import pytest
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.sizes import with_length_source

from superloop_core.registry import load_registry


def tables(*systems, use="duplicate_string", **task):
    return {"loop": {"systems": list(systems)}, "task": {"use": use, "length": 4} | task}


def test_a_tape_jumps_by_the_length_of_the_content():
    config = tables({"use": "stack"}, {"use": "tape", "id": "it", "slots": 9})
    config["loop"]["cells"] = [{"use": "gru", "units": 4}]
    experiment = read_experiment(config)
    assert experiment.config.loop.systems[1].settings.jump == "source"
    assert experiment.config.tables["task"].settings.length_source == "it_jump"
    batch = experiment.task.sample(np.random.default_rng(0), 3)
    assert (batch.inputs["it_jump"] * 3 == batch.inputs["lengths"]).all()


def test_an_id_that_is_left_out_is_the_name():
    completed = with_length_source(tables({"use": "superloop-plugin-tape:tape"}), load_registry())
    assert completed["task"]["length_source"] == "tape_jump"


@pytest.mark.parametrize(
    "config",
    [
        tables({"use": "tape", "jump": "length"}),
        tables({"use": "tape", "jumps": False}),
        tables({"use": "tape"}, length_source=""),
        tables({"use": "tape"}, {"use": "tape", "id": "other"}),
        tables({"use": "stack"}),
        tables({"use": "tape"}, use="last_two_before_nine"),
        tables({"use": "no_such"}),
        tables({"id": "x"}),
        tables(7),
        {"loop": {"systems": 7}, "task": {"use": "duplicate_string"}},
        {"loop": {"systems": [{"use": "tape"}]}},
    ],
)
def test_what_is_said_or_has_several_answers_is_left_alone(config):
    assert with_length_source(config, load_registry()) == config
