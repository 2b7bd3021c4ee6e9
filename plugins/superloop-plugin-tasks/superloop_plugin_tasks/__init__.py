"""Tasks to train superloops on."""

from typing import Literal

import attrs
from attrs.validators import ge

from superloop_core import TaskSpec, hookimpl


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


@hookimpl
def superloop_register():
    """The toy task of the original superloop."""
    yield TaskSpec(
        name="last_two_before_nine",
        config=LastTwoBeforeNineConfig,
        factory="superloop_plugin_tasks.last_two_before_nine:LastTwoBeforeNine",
        summary="Find the last 2 before a 9 on a tape, of the original superloop (Csirmaz, 2018)",
        example={"length": 8},
    )
