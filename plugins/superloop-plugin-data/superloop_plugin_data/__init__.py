"""Tasks that read files of sequences: CSV, JSON lines, NumPy, Parquet and plain text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from superloop_core import MetricSpec, TaskSpec, hookimpl
from superloop_plugin_data.settings import (
    AbsoluteErrorConfig,
    ClassificationConfig,
    ForecastingConfig,
    NextTokenConfig,
    RegressionConfig,
    TaggingConfig,
)

EXAMPLES = Path(__file__).with_name("examples")  # small files, to try a task with

__all__ = [
    "EXAMPLES",
    "AbsoluteErrorConfig",
    "ClassificationConfig",
    "ForecastingConfig",
    "NextTokenConfig",
    "RegressionConfig",
    "TaggingConfig",
]


@hookimpl
def superloop_register() -> Iterator[TaskSpec | MetricSpec]:
    """Register the tasks and the metric."""
    waves = {"data": str(EXAMPLES / "waves.csv"), "sequence": "wave", "inputs": ["value"]}
    yield _spec(
        "classification",
        ClassificationConfig,
        "One class for each sequence of a file",
        waves | {"target": "shape"},
        1,
        3,
    )
    yield _spec(
        "regression",
        RegressionConfig,
        "Numbers for each sequence of a file",
        waves | {"target": ["period"]},
        1,
        1,
    )
    yield _spec(
        "tagging",
        TaggingConfig,
        "A class for each timestep of the sequences of a file",
        waves | {"target": "rises"},
        1,
        2,
    )
    yield _spec(
        "forecasting",
        ForecastingConfig,
        "The next values of time series of a file",
        {"data": str(EXAMPLES / "tides.csv"), "inputs": ["level"], "window": 8, "horizon": 2},
        1,
        2,
    )
    rhyme = str(EXAMPLES / "numbers.txt")
    yield _spec(
        "next_token",
        NextTokenConfig,
        "The next token of the texts of a file",
        {"data": rhyme, "window": 16},
        14,
        14,
    )
    yield MetricSpec(
        name="absolute_error",
        config=AbsoluteErrorConfig,
        factory="superloop_plugin_data.scoring:AbsoluteError",
        summary="Mean absolute error, in standard deviations of the training targets",
    )


def _spec(
    name: str, config: type, summary: str, example: dict[str, Any], inputs: int, outputs: int
) -> TaskSpec:
    made = "".join(part.capitalize() for part in name.split("_"))
    return TaskSpec(
        name=name,
        config=config,
        factory=f"superloop_plugin_data.tasks.{name}:{made}",
        summary=summary,
        example=example,
        example_loop={"inputs": inputs, "outputs": outputs, "cells": [{"use": "lstm", "units": 32}]},
    )
