"""Configs that differ, and statistics of runs that differ in nothing but the seed."""

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

IGNORED = ("plugins", "sweep")  # tables that are no settings of a run
ABSENT = ""  # in the place of a key that a config has not
MAX_NAME = 100  # characters of a folder's name
MAX_VALUE = 24  # characters of a value in it


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """``{"loop": {"cells": [{"units": 4}]}}`` -> ``{"loop.cells.0.units": 4}``; drop ``IGNORED`` tables."""
    leaves: dict[str, Any] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, Mapping) and value:
            for key, entry in value.items():
                walk(entry, f"{path}.{key}" if path else key)
        elif isinstance(value, list | tuple) and any(isinstance(entry, Mapping) for entry in value):
            for index, entry in enumerate(value):
                walk(entry, f"{path}.{index}")
        else:
            leaves[path] = value

    walk({name: table for name, table in config.items() if name not in IGNORED}, "")
    return leaves


def differences(configs: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Return the keys whose values differ between configs, and the value of each config."""
    leaves = [flat(config) for config in configs]
    keys = dict.fromkeys(key for of_one in leaves for key in of_one)
    values = {key: tuple(of_one.get(key, ABSENT) for of_one in leaves) for key in keys}
    return {key: of_key for key, of_key in values.items() if any(value != of_key[0] for value in of_key)}


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Return the shortest endings of keys that tell them apart: ``loop.cells.0.units`` -> ``units``."""
    keys = list(dict.fromkeys(keys))
    short = {}
    for key in keys:
        parts = key.split(".")
        endings = (".".join(parts[-count:]) for count in range(1, len(parts) + 1))
        others = [f".{other}" for other in keys if other != key]
        short[key] = next(
            (end for end in endings if not any(other.endswith(f".{end}") for other in others)), key
        )
    return short


def folder_name(config: str, overrides: Iterable[str]) -> str:
    """Return the default name of a run folder: ``copy``, ``loop.cells.0.units=32`` -> ``copy+units=32``.

    A long name ends early.

    Args:
        config: the name of the config.
        overrides: its changes, each ``KEY=VALUE``; of a key that is there twice the last one counts.
    """
    changes = {key.strip(): value.strip() for key, _, value in (text.partition("=") for text in overrides)}
    name = config
    for key, short in short_keys(changes).items():
        value = re.sub(r"[^A-Za-z0-9._-]+", "-", changes[key]).strip("-")[:MAX_VALUE]
        name = f"{name}+{re.sub(r'[^A-Za-z0-9._-]+', '-', short)}={value}"
    return name if len(name) <= MAX_NAME else name[:MAX_NAME].rstrip(".-+= ")


@attrs.frozen(kw_only=True)
class Statistics:
    """Of one figure over runs.

    Args:
        count: of the runs that have the figure.
        mean: of them.
        deviation: the standard deviation, divided by n - 1; None of one run.
        median: of them.
        best: the highest or the lowest, as the figure says; where that is not known, the highest of an
            accuracy, the lowest of another.
        worst: the opposite.
    """

    count: int
    mean: float
    deviation: float | None
    median: float
    best: float
    worst: float


def statistics_of(summaries: Iterable[Mapping[str, Any]]) -> dict[str, Statistics]:
    """Return the statistics of each figure ``test_NAME`` over the summaries of runs.

    A figure that is not finite in a run is left out there.
    """
    values: dict[str, list[float]] = {}
    directions: dict[str, bool] = {}
    for summary in summaries:
        directions |= summary.get("higher_is_better", {})
        for name, value in summary.items():
            if name.startswith("test_") and value is not None and math.isfinite(value):
                values.setdefault(name, []).append(float(value))
    found = {}
    for name, of_runs in values.items():
        low, high = min(of_runs), max(of_runs)
        best, worst = (high, low) if directions.get(name, name.endswith("accuracy")) else (low, high)
        found[name] = Statistics(
            count=len(of_runs),
            mean=statistics.fmean(of_runs),
            deviation=statistics.stdev(of_runs) if len(of_runs) > 1 else None,
            median=statistics.median(of_runs),
            best=best,
            worst=worst,
        )
    return found


def figure_text(name: str, value: float | None) -> str:
    """Return a figure in words: an accuracy in percent, another with four digits, None as nothing."""
    if value is None:
        return ""
    return f"{value:.2%}" if name.endswith("accuracy") else f"{value:.4g}"
