"""A thorough check: settings drawn around the example, by hypothesis."""

import enum
import math
import time
import types
import typing
from typing import Any

import attrs
import numpy as np

from superloop_core.config.settings import settings_to_dict
from superloop_core.errors import ConfigError, SuperloopError
from superloop_core.registry.records import PluginRecord
from superloop_core.setting_types import plain
from superloop_core.testing.checks.settings import example_of
from superloop_core.testing.place import reason_of
from superloop_core.testing.report import CheckFailed
from superloop_core.testing.require import require_finite
from superloop_core.testing.subject import answer_of, draw, made

EXAMPLES, SECONDS, SHORT = 60, 10.0, 3  # a loop of three timesteps


def drawn_settings(record: PluginRecord) -> None:
    """Settings around the example, within their types and validators, are refused or run."""
    try:
        from hypothesis import HealthCheck, Phase, given, reject, settings
        from hypothesis import strategies as draws
        from hypothesis.errors import Unsatisfiable
    except ImportError:
        raise SuperloopError("settings are drawn by hypothesis: pip install hypothesis") from None
    example = example_of(record)
    written = settings_to_dict(example)
    fields = {field.alias: field for field in attrs.fields(type(example)) if field.init}
    varied = {name: around(draws, field, getattr(example, field.name)) for name, field in fields.items()}
    failed: dict[str, Any] = {}
    began = time.monotonic()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(draws.fixed_dictionaries({name: one for name, one in varied.items() if one is not None}))
    def run(drawn: dict[str, Any]) -> None:
        if not failed and time.monotonic() - began > SECONDS:
            return
        changed = {name: value for name, value in (written | drawn).items() if value is not None}
        try:
            _try(attrs.evolve(record, spec=attrs.evolve(record.spec, example=changed)))
        except ConfigError:
            reject()
        except Exception:
            failed.clear()
            failed.update(changed)  # hypothesis runs the smallest one last
            raise

    try:
        run()
    except Unsatisfiable:  # all were refused
        pass
    except Exception as error:
        if not failed:
            raise
        shown = ", ".join(f"{name} = {value!r}" for name, value in failed.items())
        raise CheckFailed(f"with {shown}: {reason_of(error)}") from error


CHECKS = (drawn_settings,)


def _try(record: PluginRecord) -> None:
    """Make a part and run a short loop, or make a task and draw from it."""
    if record.kind in ("cell", "system"):
        layer = made(record)
        require_finite(answer_of(layer, draw(layer, timesteps=SHORT)), "answers must be finite")
        return
    created = record.spec.create(example_of(record))
    if record.kind == "task":
        created.sample(np.random.default_rng(0), 2)


def around(draws: Any, field: Any, value: Any) -> Any:
    """Return a strategy for a setting, as a config holds it; None: it stays as it is."""
    kinds = [plain(kind) for kind in _members(field.type)]
    least: Any
    most: Any
    low, high, options = _bounds(field.validator, value)
    choices = [choice for kind in kinds for choice in _choices(kind)]
    strategies = []
    if options is not None or choices:
        strategies.append(draws.sampled_from(choices if options is None else options))
    elif bool in kinds:
        strategies.append(draws.booleans())
    elif type(value) is int and int in kinds:
        least, most = min(value, 1), 2 * value + 2 if value > 0 else 2
        least, most = _within(least, most, low, high)
        strategies.append(draws.integers(math.ceil(least), math.floor(most)))
    elif type(value) is float and float in kinds:
        least, most = sorted((value / 2, 2 * value))
        strategies.append(draws.floats(*_within(least, most, low, high), allow_nan=False))
    if strategies and type(None) in kinds and field.default is None:
        strategies.append(draws.none())
    return draws.one_of(strategies) if strategies else None


def _within(least: Any, most: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """Return a range around the example that reaches the bounds of its validators, where they are near."""
    least = least if low is None else low
    most = max(most, least) if high is None else min(max(most, least), high)
    return least, max(least, most)


def _bounds(validator: Any, value: Any) -> tuple[Any, Any, Any]:
    """Return the least and the greatest value, and the values, that attrs's validators allow.

    A float keeps away from a bound that is excluded, by a thousandth of the distance of the example's value.
    """
    low, high, options = None, None, None
    for one in getattr(validator, "_validators", (validator,)):
        one = getattr(one, "validator", one)  # of optional(...)
        bound, compare = getattr(one, "bound", 0), getattr(one, "compare_op", "")
        if compare:
            step = abs(value - bound) / 1000 if type(value) is float else 1
        if compare in (">=", ">"):
            low = bound + step * (compare == ">")
        if compare in ("<=", "<"):
            high = bound - step * (compare == "<")
        options = list(one.options) if hasattr(one, "options") else options
    return low, high, options


def _members(kind: Any) -> list[Any]:
    """Return the types of a union, or the type."""
    kind = plain(kind)
    return (
        list(typing.get_args(kind)) if typing.get_origin(kind) in (types.UnionType, typing.Union) else [kind]
    )


def _choices(kind: Any) -> list[Any]:
    """Return the values of a Literal or of an enum."""
    if typing.get_origin(kind) is typing.Literal:
        return list(typing.get_args(kind))
    return [one.value for one in kind] if isinstance(kind, type) and issubclass(kind, enum.Enum) else []
