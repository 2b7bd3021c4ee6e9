"""Settings: a table of a config made into an attrs object, with every problem told.

Types are taken strictly: a float is no int, and no string is a number. Then attrs makes the object:
converters run, then validators. What they raise is told as it stands, with the place.
"""

import numbers
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import attrs
import cattrs

from superloop_core.errors import ConfigError, Problem, did_you_mean, message, nearest, shown

T = TypeVar("T")


def read_settings(
    cls: type[T], data: Mapping[str, Any], where: str, problems: list[Problem], reserved: Iterable[str] = ()
) -> T | None:
    """Make an attrs object of a table; note every problem, and return None if there was one."""
    before = len(problems)
    attrs.resolve_types(cls)  # type: ignore[type-var]
    fields = {field.alias: field for field in attrs.fields(cls) if field.init}  # type: ignore[arg-type]
    for name in data:
        if name not in fields:
            hint = did_you_mean(name, [*fields, *reserved])
            problems.append(Problem(where, f"no setting {name!r}{hint}"))
    unread = []
    values = {}
    for name, field in fields.items():
        if name in data:
            try:
                values[name] = _structured(data[name], field)
            except _Unsuitable as error:
                unread.append(str(error))
        elif field.default is attrs.NOTHING:
            unread.append(f"{name!r} is missing; it must be {expected(field.type)}")
    made = raised = None
    if not unread:
        try:
            made = cls(**values)
        except Exception as error:
            raised = error
    told = [*unread, *_refusals(cls, data, values, raised)] if made is None else _nulls(made)
    problems.extend(Problem(where, what) for what in told)
    return made if len(problems) == before else None


def settings_to_dict(settings: Any) -> dict[str, Any]:
    """Return an attrs object of settings as a table; what is ``None`` is left out, as TOML has no null.

    Raises:
        ConfigError: one is ``None`` that would not be ``None`` again when it is left out.
    """
    if nulls := _nulls(settings, untyped=True):
        raise ConfigError(Problem(type(settings).__name__, what) for what in nulls)
    written = _converter.unstructure(settings)
    held = {field.alias: written[field.name] for field in attrs.fields(type(settings)) if field.init}
    return {name: value for name, value in held.items() if value is not None}


def take_whole(cls: type[T], in_words: str, to_dict: Callable[[T], dict[str, Any]]) -> None:
    """Let settings hold a ``cls`` that was read elsewhere; ``to_dict`` makes a table of it."""
    _IN_WORDS[cls] = in_words

    def structure(value: Any, _: Any) -> T:
        if not isinstance(value, cls):
            raise TypeError(f"not a {cls.__name__}: {value!r}")
        return value

    _converter.register_structure_hook(cls, structure)
    _converter.register_unstructure_hook(cls, to_dict)


class _Unsuitable(Exception):
    """A value that a field does not take."""


def _structured(value: Any, field: "attrs.Attribute[Any]") -> Any:
    if field.type is None or field.type is Any:
        structured = value
    else:
        try:
            if typing.get_origin(field.type) in (list, tuple) and not isinstance(value, list | tuple):
                raise TypeError("not a list")  # a string would be taken letter by letter
            structured = _converter.structure(value, field.type)
        except Exception as error:
            kind, hint = f" ({type(value).__name__})", ""
            if typing.get_origin(field.type) is typing.Literal and isinstance(value, str):
                kind, hint = "", nearest(value, map(str, typing.get_args(field.type)))
            what = f"{field.alias!r} must be {expected(field.type)}: {shown(value)}{kind}{hint}"
            raise _Unsuitable(what) from error
    return structured


def _refusals(
    cls: type[Any], data: Mapping[str, Any], values: Mapping[str, Any], raised: Exception | None
) -> list[str]:
    """Tell what each converter and validator refuses, and what making the object raised, if it was tried.

    They are asked one by one, where attrs stops at the first, and of a stand-in, which lacks the settings
    that could not be read. So an error of theirs may be the stand-in's fault: one that is not a ValueError
    or TypeError counts only where making the object raised it too.
    """
    try:
        stand_in: Any = cls.__new__(cls)  # type: ignore[call-overload]
    except TypeError as error:  # the class is abstract
        return [message(error)]
    fields = [
        field
        for field in attrs.fields(cls)
        if field.alias in values or (field.alias not in data and field.default is not attrs.NOTHING)
    ]
    errors: list[tuple[str, Exception]] = []
    for field in fields:
        try:
            if field.alias in values:
                value = _converted(values[field.alias], field, stand_in)
            else:
                value = _default(field, stand_in)
            object.__setattr__(stand_in, field.name, value)
        except Exception as error:
            errors.append((field.alias, error))
    for field in fields:
        if field.validator is not None and hasattr(stand_in, field.name):
            try:
                field.validator(stand_in, field, getattr(stand_in, field.name))
            except Exception as error:
                errors.append((field.alias, error))

    def is_raised(error: Exception) -> bool:
        return type(error) is type(raised) and message(error) == message(raised)

    told = [(name, e) for name, e in errors if isinstance(e, ValueError | TypeError) or is_raised(e)]
    if raised is not None and not any(is_raised(error) for _, error in told):
        told.append(("", raised))
    return [_in_a_sentence(name, error) for name, error in told]


def _in_a_sentence(name: str, error: Exception) -> str:
    """What an error says as it stands, after the setting's name where it does not name it."""
    text = message(error)
    if not text or not isinstance(error, ValueError | TypeError):
        text = f"refused with {type(error).__name__}: {text}"
    return f"{name!r}: {text}" if name and not re.search(rf"\b{re.escape(name)}\b", text) else text


def _converted(value: Any, field: "attrs.Attribute[Any]", instance: Any) -> Any:
    if field.converter is None:
        return value
    if not isinstance(field.converter, attrs.Converter):
        return field.converter(value)
    converter: Any = field.converter
    besides = [instance] * converter.takes_self + [field] * converter.takes_field
    return converter.converter(value, *besides)


def _default(field: "attrs.Attribute[Any]", instance: Any) -> Any:
    default: Any = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        default = default.factory(instance) if default.takes_self else default.factory()
    return _converted(default, field, instance)


def _nulls(settings: Any, untyped: bool = False) -> list[str]:
    """Tell of each setting that is None and would become something else in a saved config."""
    told = []
    for field in attrs.fields(type(settings)):
        if not field.init or getattr(settings, field.name) is not None:
            continue
        if field.type in (None, Any) and not untyped:
            continue
        what = f"{field.alias!r} must not be None, as TOML has no null: give a value"
        if field.default is attrs.NOTHING:
            told.append(what)
        elif (default := _default(field, settings)) is not None:
            told.append(f"{what}, or leave it out for its default, {shown(default)}")
    return told


_NUMBERS = {
    bool: (bool, "true or false"),
    int: (numbers.Integral, "an integer"),
    float: (numbers.Real, "a number"),
    str: (str, "a string"),
}


_IN_WORDS: dict[type, str] = {}


def expected(kind: Any) -> str:
    """A type in words: ``int`` -> ``an integer``."""
    if kind in _NUMBERS:
        return _NUMBERS[kind][1]
    if typing.get_origin(kind) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(kind)))
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return " or ".join(expected(one) for one in typing.get_args(kind) if one is not type(None))
    if kind in _IN_WORDS:
        return _IN_WORDS[kind]
    if typing.get_origin(kind) is dict:
        return "a table"
    return f"a {getattr(kind, '__name__', kind)}".replace("a tuple", "a list")


def _strict(kind: type) -> Any:
    accepted = _NUMBERS[kind][0]

    def structure(value: Any, _: Any) -> Any:
        if isinstance(value, bool) is not (kind is bool) or not isinstance(value, accepted):
            raise TypeError(f"not {expected(kind)}: {value!r}")
        return kind(value)

    return structure


_converter = cattrs.Converter(forbid_extra_keys=True)
for _kind in _NUMBERS:
    _converter.register_structure_hook(_kind, _strict(_kind))
