"""Tasks to train superloops on."""

from typing import Literal

import attrs
from attrs.validators import ge

from superloop_core import MetricSpec, TaskSpec, hookimpl
from superloop_plugin_tasks import (
    context_sensitive,
    data_tape,
    deterministic_context_free,
    long_lag,
    next_symbol,
    ntm,
    regular,
)

FAMILIES = (ntm, regular, deterministic_context_free, context_sensitive, next_symbol, long_lag, data_tape)


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


@attrs.frozen(kw_only=True)
class TokenAccuracyConfig:
    """The share of a sequence's tokens that are right; it has no settings."""


@attrs.frozen(kw_only=True)
class WrongBitsConfig:
    """How many bits of a sequence are wrong; it has no settings."""


@hookimpl
def superloop_register():
    """The toy task of the original superloop, the tasks of the field, and what to measure of them."""
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
    for family in FAMILIES:
        yield from family.SPECS
    yield MetricSpec(
        name="token_accuracy",
        config=TokenAccuracyConfig,
        factory="superloop_plugin_tasks.scoring:TokenAccuracy",
        summary="The share of a sequence's tokens that are right",
    )
    yield MetricSpec(
        name="wrong_bits",
        config=WrongBitsConfig,
        factory="superloop_plugin_tasks.scoring:WrongBits",
        summary="How many bits of a sequence are wrong (Graves et al., 2014)",
    )
