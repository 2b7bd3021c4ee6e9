"""Sizes that the settings tell are those of the weights and the state."""

import pytest

from superloop_core.config import read_loop
from superloop_core.measured import measured_size
from superloop_core.registry import load_registry
from superloop_core.sizes import size_of

SYSTEMS = [
    {"use": "attention", "width": 3, "read_position": True},
    {"use": "register_memory", "depth": 4, "width": 2, "learn_initial_read": True},
    {"use": "stack", "depth": 3, "width": 2, "stacks": 2},
]
CELLS = [
    {"use": "sgu", "units": 5},
    {"use": "lstm", "units": 4, "layers": 2, "dropout": 0.5},
    {"use": "gru", "units": 3},
    {"use": "simple_rnn", "units": 6},
]


@pytest.mark.parametrize(
    "changes",
    [{}, {"outputs": 0}, {"outputs_read_systems": True}, {"systems": [], "inputs": 7}],
    ids=lambda changes: ",".join(changes) or "plain",
)
def test_what_the_settings_tell_is_what_there_is(changes):
    loop = {"inputs": 2, "outputs": 3, "cells": CELLS, "systems": SYSTEMS} | changes
    read = read_loop(loop, load_registry())
    told = size_of(read)
    assert told == measured_size(read)
    assert told.weights > 0


def test_where_one_does_not_tell_nobody_knows():
    learned = [{"use": "gru", "units": 3, "learn_initial_state": True}]
    read = read_loop({"inputs": 2, "cells": learned}, load_registry())
    assert size_of(read) is None
    plain = read_loop({"inputs": 2, "cells": [{"use": "gru", "units": 3}]}, load_registry())
    assert measured_size(read).weights == size_of(plain).weights + 3


@pytest.mark.parametrize("use", ["neural_stack", "nondeterministic_stack"])
def test_of_a_memory_that_grows_the_timesteps_tell(use):
    loop = {"inputs": 2, "cells": [{"use": "gru", "units": 3}], "systems": [{"use": use}]}
    read = read_loop(loop, load_registry())
    assert size_of(read) is None
    unknown = measured_size(read)
    assert unknown.state_size is None
    assert unknown.memory(10, 8) is None
    # What it keeps of 10 timesteps is what it keeps of a capacity of 10; a bottom is kept besides.
    capacity = {"neural_stack": 10, "nondeterministic_stack": 11}[use]
    known = read_loop(loop | {"systems": [{"use": use, "capacity": capacity}]}, load_registry())
    assert measured_size(read, timesteps=10) == size_of(known)


def test_memory_grows_with_timesteps_and_rows():
    size = size_of(read_loop({"inputs": 2, "cells": [{"use": "gru", "units": 3}]}, load_registry()))
    one, two = size.memory(10, 8), size.memory(20, 16)
    assert one["weights"] == two["weights"] == size.weights * 16
    assert two["states"] == 4 * one["states"] == 20 * 16 * (3 + 3) * 4
