"""The checks of a plugin, and how to run them."""

import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import attrs

from superloop_core.errors import PluginError, SuperloopError, UnknownPluginError, did_you_mean
from superloop_core.registry.records import PluginRecord
from superloop_core.registry.registry import load_registry
from superloop_core.registry.specs import LOCAL, normalized
from superloop_core.testing.checks.settings import example_of
from superloop_core.testing.place import (
    place_of_failure,
    place_of_settings,
    place_of_step,
    reason_of,
)
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
        place = ""
        try:
            self.function(self.record)
            failure = "" if excuse is None else "passes, but expected_failures has it: remove it there"
            status: Status = "passed" if excuse is None else "failed"
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also a skip of pytest's: a plugin may not skip a check
            place = place_of_failure(error, self.record)
            status, failure = ("failed", _described(error, place)) if excuse is None else ("excused", excuse)
        if status == "failed" and not place:
            of_settings = self.function.__module__.endswith(".settings")
            place = (place_of_settings if of_settings else place_of_step)(self.record)
        return Result(
            plugin=self.record.qualified_name,
            kind=self.record.kind,
            check=self.name,
            status=status,
            message=failure,
            seconds=time.perf_counter() - began,
            form=self.form,
            rule=self.rule,
            place=place,
        )

    def __call__(self) -> Result:
        """Run it.

        Raises:
            CheckFailed: it fails unexpectedly, or passes although it is expected to fail.
        """
        result = self.run()
        if result.status == "failed":
            described = "\n".join(result.lines)
            raise CheckFailed(f"{result.plugin} ({result.kind}), {self.name}: {described}")
        return result


def conformance(
    name: str, settings: Mapping[str, Any] | None = None, *, thorough: bool = False
) -> list[Check]:
    """Return the checks of a plugin, to be run one by one.

    Args:
        name: as configs name it; ``cell:NAME`` selects one kind where several have the name. The name of a
            distribution selects all its plugins.
        settings: for a form of the plugin other than its ``example``.
        thorough: add a check that draws settings around these, which needs the package hypothesis.

    Raises:
        ConfigError: the settings cannot be used.
        PluginError: there is no such plugin, or its ``expected_failures`` name no check.
    """
    records = [attrs.evolve(record) for record in find_records(name)]  # checks share what they make of one
    if settings is not None:
        records = [
            attrs.evolve(record, spec=attrs.evolve(record.spec, example=dict(settings))) for record in records
        ]
        for record in records:
            example_of(record)
    form = "" if settings is None else ",".join(f"{key}={value}" for key, value in settings.items())
    checks = [
        Check(name=function.__name__, record=record, function=function, form=form)
        for record in records
        for function in _functions(thorough)[record.kind]
        if record.distribution != LOCAL or function.__name__ not in OF_DISTRIBUTIONS
    ]
    for record in records:
        known = [function.__name__ for function in _functions(True)[record.kind]]
        if record.distribution == LOCAL:
            known = [check for check in known if check not in OF_DISTRIBUTIONS]
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
    thorough: bool = False,
    tell: Callable[[Result], None] = lambda result: None,
) -> Report:
    """Run the checks of a plugin.

    Args:
        name: as for :func:`conformance`.
        settings: as for :func:`conformance`.
        only: names of checks; all if empty.
        thorough: as for :func:`conformance`.
        tell: called with each result as it comes.

    Raises:
        ConfigError: the settings cannot be used.
        PluginError: there is no such plugin, or no such check.
    """
    checks = conformance(name, settings, thorough=thorough)
    only = list(only)
    for wanted in only:
        known = {check.name for check in checks}
        if wanted not in known:
            raise PluginError(f"no check {wanted!r} for {name!r}{did_you_mean(wanted, known)}")
    chosen = [check for check in checks if not only or check.name in only]
    if any(check.name == "saved_and_loaded" for check in chosen):
        from superloop_core.testing.fresh import start

        start()  # it imports TensorFlow meanwhile
    results = []
    for check in chosen:
        results.append(check.run())
        tell(results[-1])
    return Report(results=tuple(results))


def find_records(name: str) -> list[PluginRecord]:
    """Return the plugins of a name, or all of a distribution.

    Raises:
        PluginError: there is none.
    """
    registry = load_registry()
    try:
        return registry.find(name)
    except UnknownPluginError:
        found = [record for record in registry.records if normalized(record.distribution) == normalized(name)]
        if not found:
            raise
        return found


@cache
def _functions(thorough: bool) -> dict[str, list[Callable[[PluginRecord], None]]]:
    from superloop_core.testing.checks import drawn, loops, settings, steps, tasks

    every = list(settings.CHECKS)
    further = list(drawn.CHECKS) if thorough else []
    parts: list[Callable[[PluginRecord], None]] = [*every, *steps.CHECKS, *loops.CHECKS, *further]
    return {
        "cell": parts,
        "system": parts,
        "task": [*every, *tasks.CHECKS, *further],
        "metric": [*every, *tasks.METRIC_CHECKS, *further],
    }


def _described(error: BaseException, place: str) -> str:
    """Return an error's message, with its origin where neither the kit raised it nor the plugin."""
    if isinstance(error, CheckFailed):
        return str(error)
    what, frame = reason_of(error), traceback.extract_tb(error.__traceback__)[-1]
    return what if place or isinstance(error, SuperloopError) else f"{what} ({frame.filename}:{frame.lineno})"
