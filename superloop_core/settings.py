"""Settings: a table of a config made into an attrs object, with every problem told.

Types are taken strictly: a float is no int, and no string is a number. What a field's validator
raises is told as it stands, with the place.
"""

import numbers
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import attrs
import cattrs

from superloop_core.errors import Problem, did_you_mean, message, shown

T = TypeVar("T")


def read_settings(
    cls: type[T], data: Mapping[str, Any], where: str, problems: list[Problem], reserved: Iterable[str] = ()
) -> T | None:
    """Make an attrs object of a table; note every problem, and return None if there was one."""
    before = len(problems)
    attrs.resolve_types(cls)  # type: ignore[type-var]
    fields = {field.name: field for field in attrs.fields(cls) if field.init}  # type: ignore[arg-type]
    for name in data:
        if name not in fields:
            hint = did_you_mean(name, [*fields, *reserved])
            problems.append(Problem(where, f"no setting {name!r}{hint}"))
    values = {}
    for name, field in fields.items():
        if name in data:
            try:
                values[name] = _structured(data[name], field)
            except _Unsuitable as error:
                problems.append(Problem(where, str(error)))
        elif field.default is attrs.NOTHING:
            problems.append(Problem(where, f"{name!r} is missing; it must be {expected(field.type)}"))
    if len(problems) > before:
        return None
    try:
        return cls(**values)
    except (ValueError, TypeError) as error:
        problems.append(Problem(where, message(error)))
        return None


def settings_to_dict(settings: Any) -> dict[str, Any]:
    """Return an attrs object of settings as a table; what is ``None`` is left out, as TOML has no null."""
    return {k: v for k, v in _converter.unstructure(settings).items() if v is not None}


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
            hint = ""
            if typing.get_origin(field.type) is typing.Literal:
                hint = did_you_mean(value, map(str, typing.get_args(field.type)))
            kind = f" ({type(value).__name__})" if not hint else ""
            what = f"{field.name!r} must be {expected(field.type)}: {shown(value)}{kind}{hint}"
            raise _Unsuitable(what) from error
    if field.validator is not None:
        try:
            field.validator(None, field, structured)
        except (ValueError, TypeError) as error:
            raise _Unsuitable(message(error)) from error
        except AttributeError:
            pass  # it compares with another setting, and runs again when all are there
    return structured


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
