"""Tasks to train superloops on."""

from typing import Literal

import attrs
from attrs.validators import ge

from superloop_core import MetricSpec, TaskSpec, hookimpl


@attrs.frozen(kw_only=True)
class LastTwoBeforeNineConfig:
    """Find the last 2 before a 9.

    Args:
        length: how many numbers a sequence has.
        system: the id of the attention that reads them, and whose final position is the answer.
        encoding: how a number is given: ``one_hot``, of width 10, or ``raw``, of width 1.
    """

    length: int = attrs.field(default=16, validator=ge(2))
    system: str = "tape"
    encoding: Literal["one_hot", "raw"] = "one_hot"


@attrs.frozen(kw_only=True)
class FinalDistanceConfig:
    """Distance of a final position from the target.

    Args:
        system: the id of the system whose ``position`` it is.
    """

    system: str = "tape"


@hookimpl
def superloop_register():
    """The toy task of the original superloop, and what to measure of it."""
    yield TaskSpec(
        name="last_two_before_nine",
        config=LastTwoBeforeNineConfig,
        factory="superloop_plugin_tasks.last_two_before_nine:LastTwoBeforeNine",
        summary="Find the last 2 before a 9 on a tape, of the original superloop (Csirmaz, 2018)",
        example={"length": 8},
        example_loop={
            "timesteps": 16,
            "cells": [{"use": "lstm", "units": 32}],
            "systems": [{"use": "attention", "id": "tape", "width": 10, "datapoints": 8}],
        },
        reference="Csirmaz, superloop, 2018, https://github.com/csirmaz/superloop",
    )
    yield MetricSpec(
        name="final_distance",
        config=FinalDistanceConfig,
        factory="superloop_plugin_tasks.last_two_before_nine:FinalDistance",
        summary="How far the final position of a system is from the target",
        example={"system": "tape"},
    )
