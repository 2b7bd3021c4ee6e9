"""Keyword arguments that a layer does not have."""

import pytest

from superloop_core import ConfigError, Superloop, SuperloopCell

CELLS = [{"use": "lstm", "units": 3}]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"think_step": 1}, "Superloop: no argument 'think_step'; did you mean 'think_steps'?"),
        ({"trainabel": False}, "Superloop: no argument 'trainabel'; did you mean 'trainable'?"),
        ({"autocast": False}, "Superloop: no argument 'autocast'; there are: activity_regularizer, cells, "),
    ],
)
def test_a_misspelled_argument_is_answered_with_the_nearest(given, error):
    with pytest.raises(ConfigError) as refused:
        Superloop(cells=CELLS, **given)
    assert str(refused.value).startswith(error)


def test_a_cell_answers_so_too():
    with pytest.raises(ConfigError, match="SuperloopCell: no argument 'trainabel'; did you mean 'trainable'"):
        SuperloopCell({"inputs": 2, "cells": CELLS}, trainabel=False)


def test_a_subclass_has_the_arguments_of_its_own():
    class Loop(Superloop):
        def __init__(self, *, depth=2, **kwargs):
            super().__init__(**kwargs)
            self.depth = depth

    assert Loop(depth=3, cells=CELLS, name="deep", trainable=False).depth == 3
    with pytest.raises(ConfigError, match="Loop: no argument 'dept'; did you mean 'depth'"):
        Loop(dept=3, cells=CELLS)
