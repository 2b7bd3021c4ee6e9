"""Settings: a table of a config as an attrs object, with every problem reported.

Types are strict: a float is not an int, and a string is not a number. Then attrs makes the object: converters
run, then validators; their messages are reported with the place.
"""

import contextlib
import numbers
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import attrs
import cattrs

from superloop_core.errors import ConfigError, Problem, did_you_mean, message, nearest, reason, short_repr

T = TypeVar("T")

MAX_UNKNOWN = 20  # unknown settings of one table that are reported by their names
MAX_INT = 2**63 - 1  # TensorFlow and TOML have no larger integers


def read_settings(
    cls: type[T], data: Mapping[str, Any], where: str, problems: list[Problem], reserved: Iterable[str] = ()
) -> T | None:
    """Return an attrs object of a table; report every problem, and return None if there is one.

    Rules that involve several settings are checked after each setting is valid.
    """
    try:
        attrs.resolve_types(cls)  # type: ignore[type-var]
    except Exception as error:
        what = f"the types of the settings {cls.__name__} cannot be resolved: {reason(error)}"
        problems.append(Problem(where, f"{what}; this is a fault of the plugin"))
        return None
    fields = {field.alias: field for field in attrs.fields(cls) if field.init}  # type: ignore[arg-type]
    unknown = [name for name in data if name not in fields]
    found = [
        f"no setting {short_repr(name)}{did_you_mean(name, [*fields, *reserved])}"
        for name in unknown[:MAX_UNKNOWN]
    ]
    if len(unknown) > MAX_UNKNOWN:
        found.append(f"and {len(unknown) - MAX_UNKNOWN:,} more unknown settings")
    known = len(found)
    values = {}
    for name, field in fields.items():
        if name in data:
            try:
                values[name] = _structured(data[name], field)
            except _Unsuitable as error:
                found.append(str(error))
        elif field.default is attrs.NOTHING:
            found.append(f"{name!r} is missing; it must be {expected(field.type)}")
    made = None
    whole = len(found) == known  # every setting that is needed could be read
    try:
        made = None if found else cls(**values)
        found += _refusals(cls, values, whole) if made is None else _nulls(made)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # of a plugin's converter or validator
        found = _refusals(cls, values, whole) or [_in_a_sentence("", error)]
    problems.extend(Problem(where, what) for what in found)
    return None if found else made


def settings_to_dict(settings: Any) -> dict[str, Any]:
    """Return an attrs object of settings as a table, without those that are ``None``: TOML has no null.

    Raises:
        ConfigError: a setting is ``None``, and its default is not.
    """
    if nulls := _nulls(settings, untyped=True):
        raise ConfigError(Problem(type(settings).__name__, what) for what in nulls)
    written = _converter.unstructure(settings)
    held = {field.alias: written[field.name] for field in attrs.fields(type(settings)) if field.init}
    return {name: value for name, value in held.items() if value is not None}


def register_setting(cls: type[T], in_words: str, to_dict: Callable[[T], dict[str, Any]]) -> None:
    """Let settings hold a ``cls`` that was read elsewhere; ``to_dict`` makes a table of it."""
    _IN_WORDS[cls] = in_words

    def structure(value: Any, _: Any) -> T:
        if not isinstance(value, cls):
            raise TypeError(f"not a {cls.__name__}: {value!r}")
        return value

    _converter.register_structure_hook(cls, structure)
    _converter.register_unstructure_hook(cls, to_dict)


class _Unsuitable(Exception):
    """A value of the wrong type."""


def _structured(value: Any, field: "attrs.Attribute[Any]") -> Any:
    if field.type is None or field.type is Any:
        return value
    try:
        if typing.get_origin(field.type) in (list, tuple) and not isinstance(value, list | tuple):
            raise TypeError("not a list")  # cattrs would take a string letter by letter
        return _converter.structure(value, field.type)
    except Exception as error:
        kind, hint = f" ({type(value).__name__})", ""
        if _is_choice(field.type) and isinstance(value, str):
            kind, hint = "", nearest(value, map(str, typing.get_args(field.type)))
        what = f"{field.alias!r} must be {expected(field.type)}: {short_repr(value)}{kind}{hint}"
        raise _Unsuitable(what) from error


def _refusals(cls: Any, values: Mapping[str, Any], whole: bool) -> list[str]:
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


def _in_a_sentence(name: str, error: BaseException) -> str:
    """Return an error's message, after the setting's name where the message lacks it."""
    text = message(error)
    if not text or not isinstance(error, ValueError | TypeError):
        text = f"refused with {type(error).__name__}: {text}"
    return f"{name!r}: {text}" if name and not re.search(rf"\b{re.escape(name)}\b", text) else text


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


def _nulls(settings: Any, untyped: bool = False) -> list[str]:
    """Report each setting that is None and would become something else in a saved config."""
    found = []
    for field in attrs.fields(type(settings)):
        if not field.init or getattr(settings, field.name) is not None:
            continue
        if field.type in (None, Any) and not untyped:
            continue
        what = f"{field.alias!r} must not be None, as TOML has no null: give a value"
        if field.default is attrs.NOTHING:
            found.append(what)
        elif (default := _default(field, settings)) is not None:
            found.append(f"{what}, or leave it out for its default, {short_repr(default)}")
    return found


_NUMBERS = {
    bool: (bool, "true or false"),
    int: (numbers.Integral, "an integer"),
    float: (numbers.Real, "a number"),
    str: (str, "a string"),
}


_IN_WORDS: dict[type, str] = {}


def expected(kind: Any) -> str:
    """Return a type in words: ``int`` -> ``an integer``."""
    if kind in _NUMBERS:
        return _NUMBERS[kind][1]
    if _is_choice(kind):
        choices = typing.get_args(kind)
        return "one of " * (len(choices) > 1) + ", ".join(map(repr, choices))
    if _is_union(kind):
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
        if isinstance(value, int) and abs(value) > MAX_INT:
            raise TypeError("an integer of more than 64 bits")
        return kind(value)

    return structure


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (types.UnionType, typing.Union)


def _is_mixed(kind: Any) -> bool:
    """Whether it is a union that cattrs cannot tell apart: of anything but attrs classes and None."""
    kinds = [typing.get_origin(one) or one for one in typing.get_args(kind) if one is not type(None)]
    return _is_union(kind) and not all(map(attrs.has, kinds))


def _is_choice(kind: Any) -> bool:
    return typing.get_origin(kind) is typing.Literal


def _structured_union(value: Any, kind: Any) -> Any:
    """Read a value as the first type of a union that takes it; its own type is the first of all."""
    if value is None and type(None) in typing.get_args(kind):
        return None
    for one in sorted(typing.get_args(kind), key=lambda one: one is not type(value)):
        is_list = typing.get_origin(one) in (list, tuple)
        if one is type(None) or (is_list and not isinstance(value, list | tuple)):
            continue
        with contextlib.suppress(Exception):
            return _converter.structure(value, one)
    raise TypeError(f"not {expected(kind)}")


def _structured_choice(value: Any, kind: Any) -> Any:
    """Read one of the values of a Literal; True is not 1."""
    for choice in typing.get_args(kind):
        if isinstance(value, bool) is isinstance(choice, bool) and value == choice:
            return choice
    raise TypeError(f"not {expected(kind)}")


_converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)
_converter.register_structure_hook_func(_is_mixed, _structured_union)
_converter.register_structure_hook_func(_is_choice, _structured_choice)
for _kind in _NUMBERS:
    _converter.register_structure_hook(_kind, _strict(_kind))
