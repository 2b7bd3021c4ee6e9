"""Every error the package raises, under one base class.

An error names the place, the rule, the value received and the next move.
"""

import difflib
import errno
import os
from collections.abc import Iterable

import attrs


class SuperloopError(Exception):
    """The base of every error that superloop_core and its plugins raise on purpose."""

    # Keras marks explained errors so; it wraps others in a dump of the arguments.
    _keras_call_info_injected = True


@attrs.frozen
class Problem:
    """A problem of a config: ``where`` it is, and ``what`` the rule, the value and the next move are."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class ConfigError(SuperloopError, ValueError):
    """A config that cannot be used; ``problems`` lists all its problems."""

    def __init__(self, problems: Iterable[Problem] | str):
        self.problems = (Problem("", problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class PluginError(SuperloopError):
    """A plugin that is unknown, ambiguous or broken."""


class UnknownPluginError(PluginError):
    """There is no plugin with this name."""


class SourceError(SuperloopError, ValueError):
    """An input or a source of a call that is missing, unknown or of a wrong shape."""


class TraceError(SuperloopError, KeyError):
    """A trace name that the loop does not have."""

    def __str__(self) -> str:  # KeyError would show the repr
        return str(self.args[0])


class WeightsError(SuperloopError, ValueError):
    """A file of weights that does not belong to this config; no weight was changed."""


class RunFolderError(SuperloopError):
    """A run folder that is damaged, in use by another process, or cannot be read or written."""


NEXT_MOVES = {
    "free space there, or raise the limit, and run the command again": (
        errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG,
    ),
    "choose a place that you may read and write": (errno.EACCES, errno.EPERM, errno.EROFS),
    "choose a shorter name": (errno.ENAMETOOLONG,),
    "a folder is in the place of a file: move it away, or choose another name": (errno.EISDIR,),
    "a file is in the place of a folder: move it away, or choose another name": (errno.ENOTDIR, errno.EEXIST),
    "was it deleted or renamed?": (errno.ENOENT, getattr(errno, "ESTALE", errno.ENOENT)),
}  # fmt: skip


def reason(error: OSError) -> str:
    """Return what the system reports, and the next move: ``No space left on device; free space there``."""
    what = os.strerror(error.errno) if error.errno else " ".join(str(error).split())[:200]
    moves = (move for move, numbers in NEXT_MOVES.items() if error.errno in numbers)
    return "; ".join((what, *moves))


def message(error: BaseException) -> str:
    """Return an error's message; attrs's errors have the attribute and the value as further arguments."""
    if len(error.args) > 1 and isinstance(error.args[1], attrs.Attribute):
        return str(error.args[0])
    return str(error)


def short_repr(value: object) -> str:
    """Return the repr of a value, cut where it is long; never fails."""
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
