"""The results of checks."""

from collections import Counter
from typing import Literal

import attrs

from superloop_core.errors import SuperloopError, cut

Status = Literal["passed", "failed", "excused"]
MAX_LINES, MAX_LINE = 8, 300  # of a message; with the rule and the place there are ten lines


class CheckFailed(SuperloopError, AssertionError):
    """A check of the conformance kit did not hold."""


@attrs.frozen(kw_only=True)
class Result:
    """The result of a check.

    Args:
        plugin: the qualified name.
        kind: the plugin's.
        check: the check's name.
        status: ``passed``, ``failed``, or ``excused``: it failed as the spec expects.
        message: why it failed, or the spec's reason.
        seconds: its duration.
        form: the settings, where they are not the plugin's ``example``.
        rule: what the check requires, in a sentence.
        place: where the plugin breaks the rule, or defines what does: ``file:line``.
    """

    plugin: str
    kind: str
    check: str
    status: Status
    message: str = ""
    seconds: float = 0.0
    form: str = ""
    rule: str = ""
    place: str = ""

    @property
    def lines(self) -> list[str]:
        """What a failure prints: the rule, the numbers and the place, in ten lines at most."""
        lines = [cut(line, MAX_LINE) for line in self.message.splitlines() if line.strip()]
        if len(lines) > MAX_LINES:
            lines[MAX_LINES - 1 :] = [f"... and {len(lines) - MAX_LINES + 1} more lines"]
        return [self.rule, *lines, f"at {self.place}"]


@attrs.frozen(kw_only=True)
class Report:
    """The results of all checks."""

    results: tuple[Result, ...]

    def __str__(self) -> str:
        """The counts in a line, and every failure."""
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        failures = (f"{r.plugin}, {r.check}: " + "\n".join(r.lines) for r in self.failed)
        return "\n\n".join((counts, *failures))

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Result, ...]:
        """The results of the checks that failed."""
        return tuple(result for result in self.results if result.status == "failed")

    @property
    def counts(self) -> dict[str, int]:
        """The number of checks that were run, passed, failed and excused."""
        counted = Counter(result.status for result in self.results)
        return {"run": len(self.results)} | {s: counted[s] for s in ("passed", "failed", "excused")}

    def raise_failures(self) -> None:
        """Raise :class:`CheckFailed` with every failure, if there is one."""
        if self.failed:
            raise CheckFailed(str(self).partition("\n\n")[2])
