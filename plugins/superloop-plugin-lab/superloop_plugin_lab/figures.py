"""The names of figures: one name, one meaning, in ``metrics.jsonl``, TensorBoard and ``summary.json``.

``train_NAME`` are means over training batches, ``validation_NAME`` are measured while the model trains, and
``test_NAME`` after it, with the best weights. In version 0.1 the names were ``NAME``, ``fresh_NAME``, and in
the final line ``NAME``; a file of then that is resumed goes on in its names.
"""

from collections.abc import Iterable, Mapping
from typing import Any

FACTS = ("step", "longest", "learning_rate", "final", "failed", "steps", "seconds", "best_step")
OLD = "fresh_"


def prefixed(prefix: str, figures: Mapping[str, float]) -> dict[str, float]:
    """``{"loss": 0.5}`` -> ``{"validation_loss": 0.5}``"""
    return {f"{prefix}_{name}": value for name, value in figures.items()}


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
