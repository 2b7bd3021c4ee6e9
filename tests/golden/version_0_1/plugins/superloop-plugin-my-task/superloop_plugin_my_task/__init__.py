"""MyTask: read whenever plugins are listed, so it imports neither Keras nor TensorFlow."""

import attrs
from attrs.validators import ge
from superloop_core import TaskSpec, hookimpl


@attrs.frozen(kw_only=True)
class MyTaskConfig:
    """Say the first bit of a sequence at its end.

    Args:
        length: how many bits a sequence has.
    """

    length: int = attrs.field(default=8, validator=ge(1))


@hookimpl
def superloop_register():
    """The task, by name; its implementation is imported when a config names it."""
    yield TaskSpec(
        name="my_task",
        config=MyTaskConfig,
        factory="superloop_plugin_my_task.my_task:MyTask",
        summary="Say the first bit of a sequence at its end",
        example={"length": 4},
        example_loop={
            "timesteps": 4,
            "inputs": 1,
            "outputs": 1,
            "cells": [{"use": "lstm", "units": 8}],
        },
        reference="",  # authors, year, link
    )
