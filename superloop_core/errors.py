"""Every error the package raises, under one base class.

An error says where, which rule, what was received and what to do next.
"""

import difflib
from collections.abc import Iterable

import attrs


class SuperloopError(Exception):
    """The base of every error that superloop_core and its plugins raise on purpose."""

    # Keras marks so an error that has been explained; others it wraps in a dump of the arguments.
    _keras_call_info_injected = True


@attrs.frozen
class Problem:
    """One thing wrong with a config: ``where`` it stands, and ``what`` is wrong and to be done."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class ConfigError(SuperloopError, ValueError):
    """A config that cannot be used; ``problems`` lists everything found wrong with it."""

    def __init__(self, problems: Iterable[Problem] | str):
        self.problems = (Problem("", problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class PluginError(SuperloopError):
    """A plugin that is unknown, ambiguous or broken."""


class UnknownPluginError(PluginError):
    """There is no plugin of a name."""


class SourceError(SuperloopError, ValueError):
    """An input or a source that a loop was called without, with too much of, or of a wrong shape."""


class TraceError(SuperloopError, KeyError):
    """A trace asked for by a name that the loop does not have."""

    def __str__(self) -> str:  # KeyError would show the repr
        return str(self.args[0])


class WeightsError(SuperloopError, ValueError):
    """A file of weights that does not belong to this config; no weight was changed."""


def message(error: BaseException) -> str:
    """Return what an error says; attrs's errors carry their attribute and the value besides."""
    if len(error.args) > 1 and isinstance(error.args[1], attrs.Attribute):
        return str(error.args[0])
    return str(error)


def shown(value: object) -> str:
    """Return the repr of a value that was received, cut where it is long; it never fails."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of more than 4,300 digits; nested very deep
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 200 else f"{text[:200]}..."


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'X'?"`` for the nearest known name, else all of them, else nothing."""
    known = sorted(set(known))
    return nearest(name, known) or (f"; there are: {', '.join(known)}" if known else "")


def nearest(name: object, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'X'?"`` for the nearest known name, or nothing."""
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
