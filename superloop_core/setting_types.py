"""The types that settings may have: read strictly, written as TOML and JSON hold them, and put in words."""

import contextlib
import datetime
import enum
import math
import numbers
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import attrs
import cattrs
from cattrs.disambiguators import create_default_dis_func

from superloop_core.errors import cut, nearest, short_repr

T = TypeVar("T")

MAX_INT = 2**63 - 1  # TensorFlow and TOML have no larger integers


class Fault(NamedTuple):
    """A problem with a value: the sentence ``before 'path' after``; no path: the value that is read."""

    path: str
    after: str
    before: str = ""

    def within(self, place: str) -> "Fault":
        """Return the problem as that of the value around it, which holds this one at a place."""
        dot = "." if self.path and not self.path.startswith("[") else ""
        return self._replace(path=f"{place}{dot}{self.path}")

    def __str__(self) -> str:
        return f"{self.before}{self.path!r}{self.after}" if self.path else self.after.removeprefix(": ")


class UnsuitableError(Exception):
    """A value that its type does not allow; no faults: they are reported already."""

    def __init__(self, faults: Iterable[Fault] = ()):
        super().__init__()
        self.faults = tuple(faults)


UNREAD = object()  # in the place of a value whose problems are reported already


def read(value: Any, kind: Any) -> Any:
    """Read a value of a config as a type.

    Raises:
        UnsuitableError: with every problem.
    """
    if value is UNREAD:
        raise UnsuitableError
    kind = Any if kind is None else plain(kind)
    # cattrs would take an enum of strings for a string.
    hook = _enum if _is_enum(kind) else converter.get_structure_hook(kind)
    try:
        return hook(value, kind)
    except UnsuitableError:
        raise
    except Exception as error:
        raise UnsuitableError([_wrong(value, kind)]) from error


def written(value: Any) -> Any:
    """Return a setting as TOML and JSON hold it: the inverse of :func:`read`."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {written(key): written(held) for key, held in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(written, value), key=repr)
    if isinstance(value, list | tuple):
        return [written(held) for held in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return converter.unstructure(value)


def expected(kind: Any) -> str:
    """Return a type in words: ``int`` -> ``an integer``."""
    kind = plain(kind)
    if kind in _SCALARS:
        return _SCALARS[kind][0]
    if kind in _IN_WORDS:
        return _IN_WORDS[kind]
    if _is_choice(kind) or _is_enum(kind):
        choices = [choice for choice in _choices(kind) if choice is not None]
        return "one of " * (len(choices) > 1) + ", ".join(map(repr, choices))
    if _is_union(kind):
        return " or ".join(expected(one) for one in _members(kind) if one is not type(None))
    if _is_many(kind) or _is_table(kind):
        what = "a list" if _is_many(kind) else "a table"
        *_, item = _items(kind)
        return what if plain(item) is Any else f"{what} of {_plural(expected(item))}"
    if _is_pair(kind):
        return f"a list of {len(_items(kind))}: {', '.join(map(expected, _items(kind)))}"
    if attrs.has(kind):
        names = [field.alias for field in attrs.fields(kind) if field.init]
        return f"a table of {', '.join(map(repr, names))}" if names else "an empty table"
    return (
        "a string, a number, true, false, a list or a table"
        if kind is Any
        else f"a {getattr(kind, '__name__', kind)}"
    )


def refusal(kind: Any, within: tuple[type, ...] = ()) -> str:
    """Return why a type can be that of no setting, since some of its values would not come back; or ``""``.

    Args:
        kind: the type.
        within: the classes around it, which are looked at already.
    """
    kind = plain(kind)
    if kind in _SCALARS or kind in _IN_WORDS or kind is Any or kind in within:
        return ""
    if _is_choice(kind) or _is_enum(kind):
        held = (bool, int, float, str, *([] if _is_enum(kind) else [type(None)]))
        odd = [one for one in _choices(kind) if type(one) not in held]
        return f"{short_repr(odd[0])} is no string, number, true or false" if odd else ""
    if _is_union(kind):
        members = [one for one in _members(kind) if one is not type(None)]
        return next(filter(None, (refusal(one, within) for one in members)), "") or _ambiguity(members)
    if _is_many(kind) or _is_table(kind) or _is_pair(kind):
        return next(filter(None, (_refused_item(kind, item, within) for item in _items(kind))), "")
    if isinstance(kind, type) and attrs.has(kind):
        return refused_setting(kind, (*within, kind))
    return f"{getattr(kind, '__name__', kind)} is no type that a config can hold"


def refused_setting(cls: type, within: tuple[type, ...] = ()) -> str:
    """Return which setting of an attrs class has a type that cannot be, and why; or ``""``."""
    try:
        attrs.resolve_types(cls)  # type: ignore[type-var]
    except Exception:
        return ""  # reported when the settings are read, as names may be defined later
    for field in attrs.fields(cls):  # type: ignore[arg-type]
        if field.init and field.type is not None and (why := refusal(field.type, within or (cls,))):
            where = f"the setting {field.alias!r} of {cls.__name__}"
            return f"{where} cannot be of the type {_name(field.type)}: {why}"
    return ""


def register_part(cls: type[T], in_words: str, to_dict: Callable[[T], dict[str, Any]]) -> None:
    """Let settings hold a ``cls`` that was read elsewhere; ``to_dict`` makes a table of it."""
    _IN_WORDS[cls] = in_words

    def structure(value: Any, _: Any) -> T:
        if not isinstance(value, cls):
            raise TypeError
        return value

    converter.register_structure_hook(cls, structure)
    converter.register_unstructure_hook(cls, to_dict)


def with_parts(value: Any, kind: Any, place: str, read_part: Callable[[Any, type, str], Any]) -> Any:
    """Return a raw value with the tables of its parts read, wherever its type has a part.

    Args:
        value: of a config.
        kind: its type.
        place: its place.
        read_part: reads the table of a part, of a class that :func:`register_part` knows, at a place.
    """
    kind = plain(kind)
    if kind in _IN_WORDS:
        return read_part(value, kind, place)
    if _is_union(kind):
        fitting = [one for one in _members(kind) if one in _IN_WORDS and isinstance(value, one)]
        fitting = fitting or _fitting(value, kind)
        return with_parts(value, fitting[0], place, read_part) if len(fitting) == 1 else value
    if isinstance(value, Mapping) and (_is_table(kind) or attrs.has(kind)):
        kinds = dict.fromkeys(value, _items(kind)[-1]) if _is_table(kind) else _fields(kind)
        return {
            name: with_parts(held, kinds[name], f"{place}.{name}", read_part) if name in kinds else held
            for name, held in value.items()
        }
    if isinstance(value, list | tuple) and (_is_many(kind) or _is_pair(kind)):
        kinds_of = _items(kind) if _is_pair(kind) else _items(kind) * len(value)
        places = (f"{place}[{index}]" for index in range(len(value)))
        if len(kinds_of) == len(value):
            return [with_parts(*entry, read_part) for entry in zip(value, kinds_of, places, strict=True)]
    return value


def plain(kind: Any) -> Any:
    """Return a type without Annotated, NewType and ``type`` aliases."""
    while True:
        if typing.get_origin(kind) is typing.Annotated:
            kind = typing.get_args(kind)[0]
        elif isinstance(kind, typing.NewType):
            kind = kind.__supertype__
        elif type(kind).__name__ == "TypeAliasType":
            kind = kind.__value__
        else:
            return kind


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)


def _wrong(value: Any, kind: Any) -> Fault:
    shown, hint = f"{short_repr(value)} ({type(value).__name__})", ""
    if (_is_choice(kind) or _is_enum(kind)) and isinstance(value, str):
        shown, hint = short_repr(value), nearest(value, map(str, _choices(kind)))
    return Fault("", f" must be {expected(kind)}: {shown}{hint}")


def _entries(entries: Iterable[tuple[str, Any, Any]]) -> list[Any]:
    """Read the entries of a list or a table: the place, the value and the type of each."""
    made, faults, whole = [], list[Fault](), True
    for place, value, kind in entries:
        try:
            made.append(read(value, kind))
        except UnsuitableError as error:
            whole = False
            faults += [fault.within(place) for fault in error.faults]
    if not whole:
        raise UnsuitableError(faults)
    return made


def _number(kind: type, accepted: type) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if isinstance(value, bool) is not (kind is bool) or not isinstance(value, accepted):
            raise TypeError
        if kind is not bool and isinstance(value, numbers.Integral) and abs(int(value)) > MAX_INT:
            raise TypeError
        if isinstance(value, float) and math.isnan(value):
            raise TypeError  # it is not equal to itself
        return kind(value)

    return convert


def _moment(kind: Any) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if type(value) is kind:  # TOML has them; a datetime is a date for Python
            return value
        if kind is datetime.datetime and len(value) <= len("2026-01-31"):
            raise TypeError
        return kind.fromisoformat(value)

    return convert


def _path(value: Any) -> Path:
    if not isinstance(value, str | Path):
        raise TypeError
    return Path(value)


_SCALARS: dict[Any, tuple[str, Callable[[Any], Any]]] = {
    bool: ("true or false", _number(bool, bool)),
    int: ("an integer", _number(int, numbers.Integral)),  # type: ignore[type-abstract]
    float: ("a number", _number(float, numbers.Real)),  # type: ignore[type-abstract]
    str: ("a string", _number(str, str)),
    datetime.date: ("a date as 2026-01-31", _moment(datetime.date)),
    datetime.datetime: ("a date and time as 2026-01-31T12:00:00", _moment(datetime.datetime)),
    datetime.time: ("a time as 12:00:00", _moment(datetime.time)),
    Path: ("a path", _path),
}
_IN_WORDS: dict[type, str] = {}  # the classes of parts


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (types.UnionType, typing.Union)


def _is_choice(kind: Any) -> bool:
    return typing.get_origin(kind) is typing.Literal


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def _origin(kind: Any) -> Any:
    return typing.get_origin(kind) or kind


def _is_pair(kind: Any) -> bool:
    """Whether it is a tuple of a fixed size, such as ``tuple[int, str]``."""
    return _origin(kind) is tuple and bool(typing.get_args(kind)) and typing.get_args(kind)[-1] is not ...


def _is_set(kind: Any) -> bool:
    return _origin(kind) in (set, frozenset)


def _is_many(kind: Any) -> bool:
    """Whether it is a list of any number of entries."""
    return _is_set(kind) or (_origin(kind) in (list, tuple, Sequence) and not _is_pair(kind))


def _is_table(kind: Any) -> bool:
    return _origin(kind) in (dict, Mapping)


def _items(kind: Any) -> list[Any]:
    """The types of a list's entries; of a table's keys and values."""
    found = [one for one in typing.get_args(kind) if one is not ...]
    return found or ([str, Any] if _is_table(kind) else [Any])


def _members(kind: Any) -> list[Any]:
    """The types of a union, and of unions in it."""
    kind = plain(kind)
    return [one for arg in typing.get_args(kind) for one in _members(arg)] if _is_union(kind) else [kind]


def _choices(kind: Any) -> list[Any]:
    return [one.value for one in kind] if _is_enum(kind) else list(typing.get_args(kind))


def _fields(cls: type) -> dict[str, Any]:
    with contextlib.suppress(Exception):  # reported when the settings are read
        attrs.resolve_types(cls)  # type: ignore[type-var]
    return {field.alias: field.type for field in attrs.fields(cls) if field.init}  # type: ignore[arg-type]


def _plural(words: str) -> str:
    """``an integer`` -> ``integers``; ``a list of strings`` -> ``lists of strings``."""
    article, _, noun = words.partition(" ")
    if article not in ("a", "an") or " or " in words or ", " in words:
        return f"entries, each {words}"
    first, space, rest = noun.partition(" ")
    return f"{first}s{space}{rest}"


def _forms(kind: Any) -> set[type]:
    """The types of what a config holds for a type."""
    if _is_choice(kind) or _is_enum(kind):
        return {type(choice) for choice in _choices(kind)}
    if kind in _SCALARS:
        return {kind if kind in (bool, int, float, str) else str}
    return {list} if _is_many(kind) or _is_pair(kind) else {dict}


def _ambiguity(members: list[Any]) -> str:
    """Return which types of a union look the same in a config; or ``""``."""
    if Any in members and len(members) > 1:
        return "a config cannot hold which of its types a value has"
    classes = [one for one in members if attrs.has(one) and one not in _IN_WORDS]
    if len(classes) > 1:
        try:
            create_default_dis_func(converter, *classes, use_literals=False)
        except TypeError:
            names = " and ".join(map(_name, classes))
            return f"{names} look the same in a config, without a setting of its own that each must be given"
    for index, one in enumerate(members):
        for other in members[:index]:
            as_it_is = all(_is_choice(kind) or kind in (bool, int, float, str) for kind in (one, other))
            told_apart = as_it_is or (one in classes and other in classes)
            if not told_apart and _forms(one) & _forms(other):
                return f"{_name(other)} and {_name(one)} look the same in a config"
    return ""


def _refused_item(kind: Any, item: Any, within: tuple[type, ...]) -> str:
    if type(None) in _members(item) or (_is_choice(plain(item)) and None in _choices(plain(item))):
        return "an entry of a list or a table may not be None, as TOML has no null"
    if _is_table(kind) and item is _items(kind)[0]:
        keys = _members(item)
        return "" if all(_forms(key) == {str} for key in keys) else "the keys of a table must be strings"
    plain_values = all(one in _SCALARS or _is_choice(one) or _is_enum(one) for one in _members(item))
    if _is_set(kind) and not plain_values:
        return f"a set cannot hold a {_name(plain(item))}"
    return refusal(item, within)


def _fitting(value: Any, kind: Any) -> list[Any]:
    """The types of a union that a value may be of, by its own type."""
    own = type(value)
    form = own if own in _FORMS.values() else next((_FORMS[f] for f in _FORMS if isinstance(value, f)), own)
    members = [one for one in _members(kind) if one is not type(None)]
    fitting = [one for one in members if one in (Any, own, form) or form in _forms(one)]
    return fitting + [one for one in members if one is float and form is int and int not in members]


_FORMS: dict[Any, Any] = {
    bool: bool, numbers.Integral: int, numbers.Real: float, str: str, Path: Path,
    Mapping: dict, list: list, tuple: list, set: list, frozenset: list,
}  # fmt: skip


def _scalar(value: Any, kind: Any) -> Any:
    return _SCALARS[kind][1](value)


def _choice(value: Any, kind: Any) -> Any:
    """Read one of the values of a Literal; True is not 1."""
    return next(one for one in _choices(kind) if type(one) is type(value) and one == value)


def _enum(value: Any, kind: Any) -> Any:
    if isinstance(value, kind):
        return value
    return kind(_choice(value, kind))


def _many(value: Any, kind: Any) -> Any:
    if not isinstance(value, list | tuple) and not (_is_set(kind) and isinstance(value, set | frozenset)):
        raise TypeError
    (item,) = _items(kind)
    made = _entries((f"[{index}]", held, item) for index, held in enumerate(value))
    return made if _origin(kind) is list else (tuple if _origin(kind) is Sequence else _origin(kind))(made)


def _pair(value: Any, kind: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) != len(_items(kind)):
        raise TypeError
    kinds = enumerate(zip(value, _items(kind), strict=True))
    return tuple(_entries((f"[{index}]", one, item) for index, (one, item) in kinds))


def _table(value: Any, kind: Any) -> Any:
    if not isinstance(value, Mapping):
        raise TypeError
    key_kind, item = _items(kind)
    places = [cut(str(key), 60) for key in value]
    keys = _entries((place, key, key_kind) for place, key in zip(places, value, strict=True))
    values = zip(places, value.values(), strict=True)
    return dict(zip(keys, _entries((place, held, item) for place, held in values), strict=True))


def _anything(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    for form, reader in {bool: bool, str: str, numbers.Integral: int, numbers.Real: float}.items():
        if isinstance(value, form):
            return read(value, reader)
    if not isinstance(value, Mapping | list | tuple):
        raise TypeError
    return read(value, dict[str, Any] if isinstance(value, Mapping) else list[Any])


def _union(value: Any, kind: Any) -> Any:
    members = _members(kind)
    if value is None and type(None) in members:
        return None
    others = [one for one in members if one is not type(None)]
    if len(others) == 1:
        return read(value, others[0])
    fitting = _fitting(value, kind)
    if len(fitting) > 1 and all(map(attrs.has, fitting)):
        fitting = [create_default_dis_func(converter, *fitting, use_literals=False)(value)]
    for one in fitting:
        try:
            return read(value, one)
        except UnsuitableError as error:
            inside = all(fault.path for fault in error.faults)
            if len(fitting) == 1 and inside:
                raise
    raise TypeError


converter = cattrs.Converter()
for _predicate, _hook in {
    (lambda kind: kind in _SCALARS): _scalar,
    (lambda kind: kind is Any): _anything,
    _is_choice: _choice,
    _is_many: _many,
    _is_pair: _pair,
    _is_table: _table,
    _is_union: _union,
}.items():
    converter.register_structure_hook_func(_predicate, _hook)
for _kind in _SCALARS:
    converter.register_structure_hook(_kind, _scalar)
