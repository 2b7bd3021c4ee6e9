"""Fixtures: tasks by name, and the rows of batches as strings."""

import pytest
from superloop_plugin_tasks import FAMILIES

SPECS = {spec.name: spec for family in FAMILIES for spec in family.SPECS}


@pytest.fixture(scope="session")
def make():
    """Makes a task by name, with some settings."""

    def make(name, **settings):
        spec = SPECS[name]
        if name == "look_up":
            settings = {"keys": 64} | settings  # enough for every length in these tests
        return spec.create(spec.config(**settings))

    return make


@pytest.fixture(scope="session")
def read():
    """Reads a row of a string task: its string and its answer."""

    def read(task, batch, row):
        inputs, targets = batch.inputs["inputs"][row], batch.targets[row]
        timesteps = int(batch.inputs["lengths"][row]) if "lengths" in batch.inputs else len(inputs)
        string, answer = "", ""
        for timestep in range(timesteps):
            *symbol, asks = inputs[timestep]
            assert sorted(inputs[timestep])[-2:] == [0, 1], "a symbol, or a timestep that requests one"
            if asks:
                answer += "-" if targets[timestep] < 0 else task.settings.answers[targets[timestep]]
            else:
                assert targets[timestep] == -1
                assert not answer, "no symbol comes after the answer"
                string += task.settings.alphabet[symbol.index(1)]
        assert not inputs[timesteps:].any()
        assert (targets[timesteps:] == -1).all()
        return string, answer.rstrip("-")

    return read
