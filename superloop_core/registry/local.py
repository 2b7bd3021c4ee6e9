"""Plugins of this process: classes and functions of a notebook or a script, and files of ``superloop -p``."""

import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from inspect import isroutine
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, get_args

import attrs

from superloop_core.errors import PluginError, message, printable, reason
from superloop_core.registry.entry_point import IMPL_MARK
from superloop_core.registry.records import Origin, PluginRecord
from superloop_core.registry.registry import add_local, count_local, load_registry
from superloop_core.registry.specs import (
    LOCAL,
    CellSpec,
    MetricSpec,
    PluginSpec,
    SystemSpec,
    TaskSpec,
    place_of,
    snake_case,
)

SPECS: Mapping[str, type[PluginSpec]] = {
    spec.kind: spec for spec in (CellSpec, SystemSpec, TaskSpec, MetricSpec)
}
FactoryT = TypeVar("FactoryT", bound=Callable[..., Any])


def register(
    name: str | FactoryT | None = None,
    *,
    config: type[Any] | None = None,
    example: Mapping[str, Any] | None = None,
    summary: str | None = None,
    reference: str = "",
    kind: str | None = None,
    **further: Any,
) -> Any:
    """Make a class or a factory function a plugin of this process, ``local:NAME``; a decorator.

    The class itself is returned. Its instances are made with the settings as their only argument. To
    define it again, as a notebook's cell that is run twice does, replaces it.

    Args:
        name: in configs; by default that of the class in snake case: ``RingBuffer`` is ``ring_buffer``.
        config: the attrs class of its settings; by default that of ``System[MySettings]``.
        example: settings that make a small, valid instance; by default none, so that defaults apply.
        summary: one line; by default the first of the docstring.
        reference: where it was published.
        kind: ``cell``, ``system``, ``task`` or ``metric``, where the class does not show it: it is a
            ``System``, a ``Builder`` or a Keras RNN cell, or has the methods of ``Task`` or ``Metric``; a
            function makes a cell.
        further: of the spec, such as ``aliases``, ``expected_failures`` and a task's ``example_loop``.

    Raises:
        PluginError: a rule is broken, or the name is that of another plugin.
    """

    def decorate(made: FactoryT) -> FactoryT:
        spec = _spec_of(
            made,
            name=snake_case(place_of(made)[1].rpartition(".")[2]) if name in (None, made) else name,
            config=config or config_of(made),
            kind=kind or _kind_of(made),
            summary=(made.__doc__ or "").strip().partition("\n")[0] if summary is None else summary,
            example=dict(example or {}),
            reference=reference,
            **further,
        )
        module, qualified = place_of(made)
        _refuse_taken(spec, f"{module}.{qualified}")
        origin = Origin(distribution=LOCAL, entry_point=f"{module}.{qualified}")
        add_local((spec.kind, spec.name), lambda registry: registry.add(spec, origin=origin, module=module))
        return made

    return decorate if name is None or isinstance(name, str) else decorate(name)


def load_file(path: Path) -> None:
    """Import a Python file: what it registers, or has hooks for, is a plugin of this process.

    The folder of the file is put on ``sys.path``, as that of a script. A file that was imported is not
    imported again.

    Raises:
        PluginError: it cannot be imported, or registers nothing.
    """
    shown = printable(os.fspath(path))
    place = path.resolve()
    name = place.stem
    if there := sys.modules.get(name):
        if Path(getattr(there, "__file__", None) or "").resolve() == place:
            return
        raise PluginError(f"-p {shown}: the name {name!r} is that of another module; rename the file")
    spec = importlib.util.spec_from_file_location(name, place)
    if spec is None or spec.loader is None or not place.is_file():
        raise PluginError(f"-p {shown}: must be a Python file, NAME.py")
    module = importlib.util.module_from_spec(spec)
    before = _count()
    if str(place.parent) not in sys.path:
        sys.path.insert(0, str(place.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        if any(hasattr(value, IMPL_MARK) for value in list(vars(module).values()) if isroutine(value)):
            add_local(place, lambda registry: registry.register(module, distribution=LOCAL, entry_point=name))
        if _count() == before:
            raise PluginError("it registers nothing; write @superloop_core.register above a class, or a hook")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[name]
        ours = isinstance(error, PluginError)
        why = message(error) if ours else f"{reason(error)}; for the traceback run: python {shown}"
        raise PluginError(f"-p {shown}{_line_of(error, place)}: {why}") from error


def file_of(record: PluginRecord) -> Path | None:
    """Return the file that defines a plugin of this process; None where another process cannot import it."""
    module = sys.modules.get(record.module)
    file = getattr(module, "__file__", None)
    if record.module == "__main__" or file is None or "<locals>" in record.entry_point:
        return None
    return Path(file)


def _count() -> int:
    """Return the number of plugins of this process, and of classes that are registered with Keras."""
    keras = sys.modules.get("keras")
    return count_local() + (0 if keras is None else len(keras.saving.get_custom_objects()))


def _spec_of(made: Callable[..., Any], **settings: Any) -> PluginSpec:
    where = f"@register of {'.'.join(place_of(made))}"
    if settings["config"] is None:
        raise PluginError(f"{where}: 'config' must be given, the attrs class of its settings")
    kind = settings.pop("kind")
    if kind not in SPECS:
        raise PluginError(
            f"{where}: 'kind' must be one of {', '.join(SPECS)}, and the class does not show it: {kind!r}"
        )
    try:
        return SPECS[kind](factory=made, **settings)
    except (TypeError, ValueError) as error:  # attrs's validators
        raise PluginError(f"{where}: {message(error)}") from error


def config_of(made: Any) -> type[Any] | None:
    """``MySettings`` of ``class Mine(System[MySettings])``; None without such a base class."""
    for owner in getattr(made, "__mro__", ()):
        for base in vars(owner).get("__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and attrs.has(argument):
                    return argument
    return None


def _kind_of(made: Any) -> str | None:
    if not isinstance(made, type):
        return "cell"
    if _derives(made, "superloop_core.builder.system", "System"):
        return "system"
    call = getattr(made, "call", None)
    of_keras = callable(call) and "states" in inspect.signature(call).parameters
    if of_keras or _derives(made, "superloop_core.builder.protocol", "Builder"):
        return "cell"
    if all(callable(getattr(made, method, None)) for method in ("sample", "loss", "correct")):
        return "task"
    if hasattr(made, "traces") and any("__call__" in vars(owner) for owner in made.__mro__):
        return "metric"
    return None


def _derives(made: type, module: str, base: str) -> bool:
    """Whether a class derives from one of a module that needs Keras, and is imported already if it does."""
    return module in sys.modules and issubclass(made, getattr(sys.modules[module], base))


def _refuse_taken(spec: PluginSpec, entry_point: str) -> None:
    """Reject a name of another plugin of the kind: installed, or of another class of this process."""
    records = [record for record in load_registry().records if record.kind == spec.kind]
    taken = {name: record for record in records for name in record.spec.names}
    for name in spec.names:
        found = taken.get(name)
        if found is not None and (found.distribution, found.entry_point) != (LOCAL, entry_point):
            owner = found.entry_point if found.distribution == LOCAL else found.distribution
            base = name.partition(".")[0]
            free = next(new for n in count(1) if (new := f"my_{base}" + f"_{n}" * (n > 1)) not in taken)
            raise PluginError(
                f"@register of {entry_point}: {owner} has a {spec.kind} {name!r} already; "
                f"give it another name, such as {free!r}"
            )


def _line_of(error: BaseException, place: Path) -> str:
    """``:12``, the line of a file that an error comes from, or nothing where it comes from no line of it."""
    if isinstance(error, SyntaxError) and error.filename == os.fspath(place):
        return f":{error.lineno}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == os.fspath(place)]
    return f":{lines[-1]}" if lines else ""
