"""The original's flat config, read into today's form."""

import pytest

from superloop_core import ConfigError
from superloop_core.config.original import is_original, read_original
from superloop_core.registry import load_registry


def config(**changes):
    return {
        "timesteps": 6,
        "suppress_output": 2,
        "model_name": "Main",
        "model_inputs": 2,
        "model_outputs": 3,
        "recurrent_model": "SGU",
        "recurrent_layers": 4,
        "recurrent_units": 5,
        "superloop_models": ["Attention", "RegisterMemory"],
        "printvalues": False,
        "Attention": {"datapoints": 7, "outputs": 2},
        "RegisterMemory": {"depth": 3, "register_width": 4},
    } | changes


def read(**changes):
    return read_original(config(**changes), load_registry())


def told(**changes):
    with pytest.raises(ConfigError) as refused:
        read(**changes)
    return [str(problem) for problem in refused.value.problems]


def test_every_key_finds_its_place():
    original, loop = read()
    assert original.model_name == "Main"
    assert (loop.timesteps, loop.inputs, loop.outputs, loop.suppress_output) == (6, 2, 3, 2)
    (cell,) = loop.cells
    assert (cell.use, cell.layers, cell.settings.units) == ("superloop-plugin-cells:sgu", 4, 5)
    attention, registers = loop.systems
    assert (attention.id, attention.settings.width, attention.settings.datapoints) == ("Attention", 2, 7)
    assert (registers.id, registers.settings.width, registers.settings.depth) == ("RegisterMemory", 4, 3)


def test_the_kernel_is_the_readmes_unless_the_config_says_otherwise():
    assert read()[1].systems[0].settings.kernel == "inverse_square"
    settings = {"datapoints": 7, "outputs": 2, "kernel": "inverse_distance"}
    assert read(Attention=settings)[1].systems[0].settings.kernel == "inverse_distance"


def test_without_its_optional_keys_a_config_gives_every_timestep_under_the_name_main():
    optional = ("suppress_output", "model_name", "printvalues")
    original, loop = read_original({k: v for k, v in config().items() if k not in optional}, load_registry())
    assert (loop.suppress_output, original.model_name, original.printvalues) == (0, "Main", False)


def test_keys_that_the_originals_own_example_read_are_left_alone():
    extra = {"batch_size": 1, "epochs": 2, "steps_per_epoch": 3, "tensorboard_logs": "logs"}
    extra |= {"save_model_file": "a.h5", "save_json_file": None, "load_model_file": None}
    assert read(**extra)[1] == read()[1]


def test_every_problem_is_reported_at_once_in_the_originals_words():
    problems = told(timestep=3, timesteps=0, recurrent_units="many", printvalues=True)
    assert "config: no setting 'timestep'; did you mean 'timesteps'?" in problems
    assert "config: 'timesteps' must be >= 1: 0" in problems
    assert "config: 'recurrent_units' must be an integer: 'many' (str)" in problems
    assert "config: 'printvalues' must be False or an integer >= 1: True" in problems


def test_a_system_without_settings_or_unknown_is_reported():
    assert told(Attention=None) == ["config: the settings of 'Attention' must be a dict under its name: None"]
    settings = {"superloop_models": ["Atention", "RegisterMemory"], "Atention": {}}
    assert "config.superloop_models: no system 'Atention'; did you mean 'attention'?" in told(**settings)


def test_the_settings_of_a_system_that_is_not_in_use_are_rejected():
    (problem,) = told(superloop_models=["RegisterMemory"])
    assert problem.startswith("config: no setting 'Attention'")


def test_a_system_twice_is_rejected_as_the_original_could_not_tell_them_apart():
    assert told(superloop_models=["Attention", "RegisterMemory", "Attention"]) == [
        "config.systems: 2 systems have the id 'Attention'; give each an id of its own"
    ]


def test_a_wrong_key_a_wrong_system_and_a_wrong_cell_are_reported_together():
    attention = {"datapoints": 7, "outputs": 0, "use": "register_memory"}
    problems = told(timesteps=0, recurrent_model="SGUU", Attention=attention)
    assert [problem.partition(";")[0] for problem in problems] == [
        "config: 'timesteps' must be >= 1: 0",
        "config.Attention: no setting 'use'",
        "config.Attention: 'width' must be >= 1: 0",
        "config.recurrent_model: no cell 'SGUU'",
    ]


def test_a_setting_given_by_both_its_names_is_rejected():
    problems = told(Attention={"datapoints": 7, "outputs": 2, "width": 2})
    assert problems == ["config.Attention: 'outputs' and 'width' are one setting; use one of them"]


def test_the_two_forms_are_distinguished():
    assert is_original(config())
    assert not is_original({"cells": []})
