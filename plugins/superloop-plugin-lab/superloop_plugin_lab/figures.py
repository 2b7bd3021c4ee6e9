"""The names of figures: one name, one meaning, in ``metrics.jsonl``, TensorBoard and ``summary.json``.

``train_NAME`` are means over training batches, ``validation_NAME`` are measured while the model trains, and
``test_NAME`` after it, with the best weights. In version 0.1 the names were ``NAME``, ``fresh_NAME``, and in
the final line ``NAME``; a file of then that is resumed goes on in its names.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from superloop_core import ConfigError
from superloop_core.errors import Problem, nearest
from superloop_core.task import Metric
from superloop_plugin_lab.settings import EarlyStoppingConfig, TrainConfig

FACTS = ("step", "longest", "learning_rate", "final", "failed", "steps", "seconds", "best_step")
OLD = "fresh_"


def prefixed(prefix: str, figures: Mapping[str, float]) -> dict[str, float]:
    """``{"loss": 0.5}`` -> ``{"validation_loss": 0.5}``"""
    return {f"{prefix}_{name}": value for name, value in figures.items()}


def directions(metrics: Mapping[str, Metric]) -> dict[str, bool | None]:
    """Return for each figure whether it is better the higher it is; None: it is not known."""
    of_metrics = {name: getattr(metric, "higher_is_better", None) for name, metric in metrics.items()}
    return {"loss": False, "accuracy": True, **of_metrics}


def headline_first(names: Iterable[str], headline: str) -> list[str]:
    """Return the names of figures in the order of tables: the headline, the loss, others, the accuracy."""
    order = {"loss": 1, "accuracy": 3, headline: 0}
    return sorted(names, key=lambda name: order.get(name, 2))


def sign_of_best(settings: TrainConfig, metrics: Mapping[str, Metric]) -> float:
    """Return 1.0 if the figure that decides the best weights is better the higher it is, else -1.0.

    Raises:
        ConfigError: there is no such figure, or it is not known which way is better.
    """
    return _sign(settings.best, settings.best_mode, metrics, "train", ("best", "best_mode"))


def sign_of_watched(settings: EarlyStoppingConfig, metrics: Mapping[str, Metric]) -> float:
    """Return the same of the figure that may end a run early.

    Raises:
        ConfigError: there is no such figure, or it is not known which way is better.
    """
    return _sign(settings.metric, settings.mode, metrics, "early_stopping", ("metric", "mode"))


def _sign(figure: str, mode: str, metrics: Mapping[str, Metric], table: str, keys: tuple[str, str]) -> float:
    known = directions(metrics)
    if figure not in known:
        what = f"{keys[0]!r} must be one of {', '.join(known)}: {figure!r}{nearest(figure, known)}"
        raise ConfigError([Problem(table, what)])
    higher = {"max": True, "min": False}.get(mode, known[figure])
    if higher is None:
        what = f"the metric {figure!r} does not say which way is better; set {keys[1]!r} to max or min"
        raise ConfigError([Problem(table, what)])
    return 1.0 if higher else -1.0


def are_old(lines: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether the lines of a file have the names of version 0.1."""
    return any(name.startswith(OLD) for line in lines for name in line)


def old_names(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of today in the names of version 0.1, which had no learning rate."""
    old = {}
    for name, value in line.items():
        prefix, _, rest = name.partition("_")
        if prefix == "validation":
            old[f"{OLD}{rest}"] = value
        elif name != "learning_rate":
            old[rest if prefix in ("train", "test") else name] = value
    return old


def in_new_names(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines of a file in the names of today."""
    return [new_names(line) for line in lines] if are_old(lines) else [dict(line) for line in lines]


def new_names(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of version 0.1 in the names of today."""
    bare = "test" if "final" in line else "train"
    return {
        name
        if name in FACTS
        else f"validation_{name.removeprefix(OLD)}"
        if name.startswith(OLD)
        else f"{bare}_{name}": value
        for name, value in line.items()
    }
