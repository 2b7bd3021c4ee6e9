"""Plugins that are wrong on purpose, each in one way; and one of each kind that is right."""

import attrs

from superloop_core import CellSpec, MetricSpec, Source, SystemSpec, TaskSpec, hookimpl

PARTS, TASKS = "superloop_plugin_wrong.parts", "superloop_plugin_wrong.tasks"


@attrs.frozen(kw_only=True)
class Config:
    """An echo.

    Args:
        width: how many numbers.
    """

    width: int = 3

    @property
    def control_size(self):
        return self.width

    @property
    def output_size(self):
        return self.width


@attrs.frozen(kw_only=True)
class Undescribed(Config):
    """An echo.

    Args:
        width: how many numbers.
    """

    depth: int = 1


@attrs.frozen(kw_only=True)
class Untyped(Config):
    """An echo.

    Args:
        width: how many numbers.
        depth: whatever that is.
    """

    depth = attrs.field(default=1)


@attrs.frozen(kw_only=True)
class Drifting(Config):
    """An echo.

    Args:
        width: how many numbers.
        depth: grows each time that it is read.
    """

    depth: int = attrs.field(default=1, converter=lambda depth: depth + 1)


@attrs.frozen(kw_only=True)
class TakesAnything(Config):
    """An echo.

    Args:
        width: how many numbers.
        depth: one hopes a number.
    """

    depth: list = attrs.field(factory=list)


@attrs.frozen(kw_only=True)
class Reading(Config):
    """An echo of what it reads, too.

    Args:
        width: how many numbers.
    """

    @property
    def sources(self):
        return {"book": (None, self.width)}


@attrs.frozen(kw_only=True)
class ReadingMore(Config):
    """An echo of what it finds.

    Args:
        width: how many numbers.
    """

    @property
    def sources(self):
        return {
            "keys": Source(("items", self.width)),
            "values": Source(("items",), dtype="int32"),
            "hint": Source((self.width,), optional=True),
        }


@attrs.frozen(kw_only=True)
class Silent(Config):
    """It says nothing.

    Args:
        width: how many numbers.
    """

    @property
    def output_size(self):
        return 0


@attrs.frozen(kw_only=True)
class Units:
    """A cell.

    Args:
        units: size of its state.
    """

    units: int = 3


@attrs.frozen(kw_only=True)
class Nothing:
    """No settings."""


def system(name, factory="Echo", config=Config, **changes):
    told = {"summary": "Echoes what it is told", "example": {"width": 3}} | changes
    return SystemSpec(name=name, config=config, factory=f"{PARTS}:{factory}", **told)


def cell(name, factory):
    return CellSpec(
        name=name, config=Units, factory=f"{PARTS}:{factory}", summary="A cell", example={"units": 3}
    )


def task(name, factory, **changes):
    told = {
        "summary": "Say what is shown",
        "example_loop": {
            "inputs": 2,
            "outputs": 2,
            "cells": [{"use": "controller"}],
            "systems": [{"use": "right", "id": "echo"}],
        },
    } | changes
    return TaskSpec(name=name, config=Nothing, factory=f"{TASKS}:{factory}", **told)


@hookimpl
def superloop_register():
    yield system("right")
    yield system("right_noisy", "RightNoisy")
    yield system("right_in_training", "RightInTraining")
    yield system("right_reader", "RightReader", config=ReadingMore)
    yield system("right_wave", "RightWave")
    yield system("right_silent", "RightSilent", config=Silent)
    yield system("two_lines", summary="Echoes\nwhat it is told")
    yield system("undescribed", config=Undescribed)
    yield system("untyped", config=Untyped)
    yield system("drifting", config=Drifting)
    yield system("takes_anything", config=TakesAnything)
    yield system("passes_after_all", expected_failures={"pure": "it draws at random"})
    yield system("noisy_and_says_so", "Noisy", expected_failures={"pure": "it draws at random"})
    yield system("unmasked", "Unmasked", config=Reading)
    yield system("averaged", "Averaged", config=Reading)
    for name in (
        "Wide", "Growing", "Counting", "Remembering", "DoubledInGraph", "Noisy", "Widening", "Late", "Deaf",
        "Averaging", "Squeezed",
        "Sharing", "WithLambda", "PartlyStopped", "Misnamed", "MisShaped", "Doubled", "ByPython",
        "ByTimesteps", "Restarting",
        "Narrow", "Exploding", "Saturating", "OfThisProcess", "Dying", "Once", "InBuild", "ByShard",
        "Drawing", "Assigning", "AssigningOnce", "AlwaysAssigning", "LossOfBatch", "BareLoss", "Conjugated",
        "HalfLayer", "Unbounded", "Fragile", "Chatty",
    ):  # fmt: skip
        yield system(name.lower(), name)
    yield system("requiring", "Requiring", config=ReadingMore)
    yield system("as_floats", "AsFloats", config=ReadingMore)
    yield cell("right_cell", "RightCell")
    yield cell("deaf_cell", "DeafCell")
    yield task("right_task", "Copy")
    yield task("no_loop", "Copy", example_loop={})
    for name in (
        "OneRow", "Unseeded", "LossOfEachRow", "HowRight", "NotDifferentiable", "WrongSystem",
        "Stored", "DrawnAgain", "Forgetful",
    ):  # fmt: skip
        yield task(name.lower(), name)
    yield MetricSpec(name="right_metric", config=Nothing, factory=f"{TASKS}:Error", summary="How wrong")
    yield MetricSpec(name="of_batch", config=Nothing, factory=f"{TASKS}:OfBatch", summary="How wrong")
    yield MetricSpec(name="infinite", config=Nothing, factory=f"{TASKS}:Infinite", summary="How wrong")
    yield MetricSpec(name="of_timesteps", config=Nothing, factory=f"{TASKS}:OfTimesteps", summary="How wrong")
    yield MetricSpec(name="traceless", config=Nothing, factory=f"{TASKS}:traceless", summary="How wrong")
