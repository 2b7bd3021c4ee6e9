"""Settings: a table of a config as an attrs object, with every problem reported.

Types are strict: a float is not an int, and a string is not a number. Then attrs makes the object: converters
run, then validators; their messages are reported with the place.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import attrs
from cattrs.gen import override

from superloop_core.errors import ConfigError, Problem, cut, did_you_mean, message, reason, short_repr
from superloop_core.setting_types import Fault, UnsuitableError, converter, expected, read, written

T = TypeVar("T")

MAX_FAULTS = 20  # that are reported by name: unknown settings of one table; problems of one setting


def read_settings(
    cls: type[T], data: Mapping[str, Any], where: str, problems: list[Problem], reserved: Iterable[str] = ()
) -> T | None:
    """Return an attrs object of a table; report every problem, and return None if there is one.

    Rules that involve several settings are checked after each setting is valid.
    """
    try:
        return _made(cls, data, reserved)
    except UnsuitableError as error:
        problems.extend(Problem(where, str(fault)) for fault in error.faults)
        return None


def settings_to_dict(settings: Any) -> dict[str, Any]:
    """Return an attrs object of settings as a table, without those that are ``None``: TOML has no null.

    Raises:
        ConfigError: a setting is ``None``, and its default is not.
    """
    if nulls := _nulls(settings, untyped=True):
        raise ConfigError(Problem(type(settings).__name__, str(fault)) for fault in nulls)
    fields = [field for field in attrs.fields(type(settings)) if field.init]
    held = {field.alias: getattr(settings, field.name) for field in fields}
    return {name: written(value) for name, value in held.items() if value is not None}


def _made(cls: type[T], data: Any, reserved: Iterable[str] = ()) -> T:
    """Make an attrs object of a table.

    Raises:
        UnsuitableError: with every problem.
    """
    try:
        attrs.resolve_types(cls)  # type: ignore[type-var]
    except Exception as error:
        what = f"the types of the settings {cls.__name__} cannot be resolved: {reason(error)}"
        raise UnsuitableError([Fault("", f": {what}; this is a fault of the plugin")]) from error
    if not isinstance(data, Mapping):
        raise TypeError
    fields = {field.alias: field for field in attrs.fields(cls) if field.init}  # type: ignore[arg-type]
    unknown = [name for name in data if name not in fields]
    found = [
        Fault(cut(str(name), 200), did_you_mean(name, [*fields, *reserved]), "no setting ")
        for name in unknown[:MAX_FAULTS]
    ]
    if len(unknown) > MAX_FAULTS:
        found.append(Fault("", f": and {len(unknown) - MAX_FAULTS:,} more unknown settings"))
    values, whole = {}, True  # whole: every setting that is needed could be read
    for name, field in fields.items():
        if name in data:
            try:
                values[name] = read(data[name], field.type)
            except UnsuitableError as error:
                whole = False
                found += [fault.within(name) for fault in error.faults[:MAX_FAULTS]]
                if more := len(error.faults[MAX_FAULTS:]):
                    found.append(Fault(name, f": and {more:,} more problems"))
        elif field.default is attrs.NOTHING:
            whole = False
            found.append(Fault(name, f" is missing; it must be {expected(field.type)}"))
    made = None
    try:
        made = None if found or not whole else cls(**values)
        found += _refusals(cls, values, whole) if made is None else _nulls(made)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # of a plugin's converter or validator
        found = _refusals(cls, values, whole) or [_in_a_sentence("", error)]
    if made is None or found:
        raise UnsuitableError(found)
    return made


def _structure_hook(cls: type[T]) -> Any:
    def structure(value: Any, _: Any) -> T:
        return _made(cls, value)

    fields = attrs.fields(cls)  # type: ignore[arg-type]
    structure.overrides = {field.name: override(rename=field.alias) for field in fields}  # type: ignore[attr-defined]
    return structure


converter.register_structure_hook_factory(attrs.has, _structure_hook)
converter.register_unstructure_hook_func(attrs.has, settings_to_dict)


def _refusals(cls: Any, values: Mapping[str, Any], whole: bool) -> list[Fault]:
    """Return what each setting's converter and validator object to, where attrs stops at the first."""
    try:
        with attrs.validators.disabled():
            made = cls(**values) if whole else None
    except KeyboardInterrupt:
        raise
    except BaseException:  # then each setting is checked by itself, below
        made = None
    found = []
    for field in attrs.fields(cls):
        if made is None and field.alias not in values:
            continue
        try:
            value = getattr(made, field.name) if made else _converted(values[field.alias], field, made)
            if field.validator is not None:
                field.validator(made, field, value)
        except (AttributeError, attrs.exceptions.NotAnAttrsClassError) as error:
            if made is not None:  # else it looks at other settings
                found.append(_in_a_sentence(field.alias, error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            found.append(_in_a_sentence(field.alias, error))
    return found


def _in_a_sentence(name: str, error: BaseException) -> Fault:
    """Return an error's message as a problem with a setting; no name: with several."""
    text = message(error)
    if not text or not isinstance(error, ValueError | TypeError):
        text = f"refused with {type(error).__name__}: {text}"
    before, quoted, after = text.partition(f"{name!r}")
    return Fault(name, after, before) if name and quoted else Fault(name, f": {text}")


def _converted(value: Any, field: "attrs.Attribute[Any]", instance: Any) -> Any:
    converter: Any = field.converter
    if isinstance(converter, attrs.Converter):
        return converter(value, instance, field)  # type: ignore[operator]
    return value if converter is None else converter(value)


def _default(field: "attrs.Attribute[Any]", instance: Any) -> Any:
    default: Any = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        default = default.factory(instance) if default.takes_self else default.factory()
    return _converted(default, field, instance)


def _nulls(settings: Any, untyped: bool = False) -> list[Fault]:
    """Report each setting that is None and would become something else in a saved config."""
    found = []
    for field in attrs.fields(type(settings)):
        if not field.init or getattr(settings, field.name) is not None:
            continue
        if field.type in (None, Any) and not untyped:
            continue
        what = " must not be None, as TOML has no null: give a value"
        if field.default is attrs.NOTHING:
            found.append(Fault(field.alias, what))
        elif (default := _default(field, settings)) is not None:
            rule = f"{what}, or leave it out for its default, {short_repr(default)}"
            found.append(Fault(field.alias, rule))
    return found
