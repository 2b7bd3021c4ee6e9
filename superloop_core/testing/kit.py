"""The checks of a plugin, and how to run them."""

import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import attrs

from superloop_core.errors import PluginError, did_you_mean, reason
from superloop_core.registry.records import PluginRecord
from superloop_core.registry.registry import load_registry
from superloop_core.registry.specs import LOCAL
from superloop_core.testing.report import CheckFailed, Report, Result, Status

OF_DISTRIBUTIONS = ("metadata", "light_module", "import_time")  # checks that a plugin of a process is spared


@attrs.frozen(kw_only=True)
class Check:
    """A check of the kit, for one plugin.

    Args:
        name: the check's.
        record: the plugin.
        function: the check itself; it raises where the rule does not hold.
        form: the settings, where they are not the plugin's ``example``.
    """

    name: str
    record: PluginRecord
    function: "Callable[[PluginRecord], None]" = attrs.field(repr=False)
    form: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, (self.record.kind, self.record.name, self.form, self.name)))

    @property
    def rule(self) -> str:
        """The rule, in a sentence."""
        return (self.function.__doc__ or "").strip().splitlines()[0]

    def run(self) -> Result:
        """Run it, and catch all errors."""
        began = time.perf_counter()
        excuse = self.record.spec.expected_failures.get(self.name)
        try:
            self.function(self.record)
            failure = "" if excuse is None else "passes, but expected_failures has it: remove it there"
            status: Status = "passed" if excuse is None else "failed"
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also a skip of pytest's: a plugin may not skip a check
            status, failure = ("failed", _described(error)) if excuse is None else ("excused", excuse)
        return Result(
            plugin=self.record.qualified_name,
            kind=self.record.kind,
            check=self.name,
            status=status,
            message=failure,
            seconds=time.perf_counter() - began,
        )

    def __call__(self) -> Result:
        """Run it.

        Raises:
            CheckFailed: it fails unexpectedly, or passes although it is expected to fail.
        """
        result = self.run()
        if result.status == "failed":
            raise CheckFailed(f"{result.plugin} ({result.kind}), {self.name}: {self.rule}\n{result.message}")
        return result


def conformance(name: str, settings: Mapping[str, Any] | None = None) -> list[Check]:
    """Return the checks of a plugin, to be run one by one.

    Args:
        name: as configs name it; ``cell:NAME`` selects one kind where several have the name.
        settings: for a form of the plugin other than its ``example``.

    Raises:
        PluginError: there is no such plugin, or its ``expected_failures`` name no check.
    """
    records = load_registry().find(name)
    if settings is not None:
        records = [
            attrs.evolve(record, spec=attrs.evolve(record.spec, example=dict(settings))) for record in records
        ]
    form = "" if settings is None else ",".join(f"{key}={value}" for key, value in settings.items())
    checks = [
        Check(name=function.__name__, record=record, function=function, form=form)
        for record in records
        for function in _functions()[record.kind]
        if record.distribution != LOCAL or function.__name__ not in OF_DISTRIBUTIONS
    ]
    for record in records:
        known = [check.name for check in checks if check.record is record]
        for excused in record.spec.expected_failures:
            if excused not in known:
                raise PluginError(
                    f"{record.qualified_name}: expected_failures has {excused!r}, which is no check of a "
                    f"{record.kind}{did_you_mean(excused, known)}"
                )
    return checks


def check_plugin(
    name: str,
    settings: Mapping[str, Any] | None = None,
    *,
    only: Iterable[str] = (),
    tell: Callable[[Result], None] = lambda result: None,
) -> Report:
    """Run the checks of a plugin.

    Args:
        name: as for :func:`conformance`.
        settings: as for :func:`conformance`.
        only: names of checks; all if empty.
        tell: called with each result as it comes.

    Raises:
        PluginError: there is no such plugin, or no such check.
    """
    checks = conformance(name, settings)
    only = list(only)
    for wanted in only:
        known = {check.name for check in checks}
        if wanted not in known:
            raise PluginError(f"no check {wanted!r} for {name!r}{did_you_mean(wanted, known)}")
    results = []
    for check in checks:
        if not only or check.name in only:
            results.append(check.run())
            tell(results[-1])
    return Report(results=tuple(results))


@cache
def _functions() -> dict[str, list[Callable[[PluginRecord], None]]]:
    from superloop_core.testing.checks import loops, settings, steps, tasks

    every = list(settings.CHECKS)
    parts: list[Callable[[PluginRecord], None]] = [*every, *steps.CHECKS, *loops.CHECKS]
    return {
        "cell": parts,
        "system": parts,
        "task": [*every, *tasks.CHECKS],
        "metric": [*every, *tasks.METRIC_CHECKS],
    }


def _described(error: BaseException) -> str:
    """Return an error's message, with its origin where the kit did not raise it."""
    if isinstance(error, CheckFailed):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{reason(error)} ({frame.filename}:{frame.lineno})"
