"""Tasks to train superloops on."""

from collections.abc import Iterator
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
        length: numbers in a sequence.
        system: id of the attention that reads them; its final position is the answer.
        encoding: of a number: ``one_hot``, of width 10, or ``raw``, of width 1.
    """

    length: int = attrs.field(default=16, validator=ge(2))
    system: str = "tape"
    encoding: Literal["one_hot", "raw"] = "one_hot"


@attrs.frozen(kw_only=True)
class FinalDistanceConfig:
    """Distance of a final position from the target.

    Args:
        system: id of the system that has the ``position``.
    """

    system: str = "tape"


@attrs.frozen(kw_only=True)
class TokenAccuracyConfig:
    """The share of a sequence's tokens that are correct; no settings."""


@attrs.frozen(kw_only=True)
class WrongBitsConfig:
    """The number of wrong bits in a sequence; no settings."""


@hookimpl
def superloop_register() -> Iterator[TaskSpec | MetricSpec]:
    """Register the tasks and the metrics."""
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
        summary="Distance of a system's final position from the target",
        example={"system": "tape"},
    )
    for family in FAMILIES:
        yield from family.SPECS
    yield MetricSpec(
        name="token_accuracy",
        config=TokenAccuracyConfig,
        factory="superloop_plugin_tasks.scoring:TokenAccuracy",
        summary="Share of a sequence's tokens that are correct",
    )
    yield MetricSpec(
        name="wrong_bits",
        config=WrongBitsConfig,
        factory="superloop_plugin_tasks.scoring:WrongBits",
        summary="Number of wrong bits in a sequence (Graves et al., 2014)",
    )
