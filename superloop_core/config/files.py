"""Configs as plain dicts: read from TOML and JSON files, with limits, and changed key by key."""

import codecs
import functools
import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from superloop_core.errors import ConfigError, cut, did_you_mean, message, os_reason, short_repr
from superloop_core.limits import UnreadableError, read_file

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_HINTS = 50  # names that an error lists


def load_dict(source: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """Return a config as a plain dict; a path's ending, ``.toml`` or ``.json``, is the format."""
    if isinstance(source, Mapping):
        data, where = dict(source), "config"
    elif not isinstance(source, str | Path):
        raise ConfigError(
            f"a config must be a dict or a path: {short_repr(source)} ({type(source).__name__})"
        )
    else:
        path = Path(source)
        where = cut(str(path), 300)
        form = path.suffix[1:].upper()
        if form not in _PARSERS:
            raise ConfigError(f"{where}: a config must be a .toml or a .json file")
        try:
            data = _PARSERS[form](_text(read_file(path, MAX_BYTES)))
        except OSError as error:
            raise ConfigError(f"{where}: cannot be read: {os_reason(error)}") from error
        except UnreadableError as error:
            raise ConfigError(f"{where}: {error}") from error
        except (ValueError, RecursionError) as error:
            if isinstance(error, ConfigError):
                raise
            what = "it is nested too deep" if isinstance(error, RecursionError) else message(error)
            raise ConfigError(f"{where}: is not valid {form}: {cut(what, 300)}") from error
        if not isinstance(data, dict):
            raise ConfigError(f"{where}: must hold a table, not a {type(data).__name__}")
    _check_shape(data, where)
    return data


def _text(raw: bytes) -> str:
    """Decode UTF-8, with or without the byte order mark that some editors write."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
        raise ValueError("it begins with the byte order mark of UTF-16 or UTF-32; save it as UTF-8")
    if b"\0" in raw:
        raise ValueError("it holds null bytes, as text in UTF-16 does; save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line} is not in UTF-8, which a config must be; save it as UTF-8") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object; of a key that stands in it twice, json.loads would silently take the last."""
    table = dict(pairs)
    if len(table) < len(pairs):
        (key, count), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {short_repr(key)} stands {count} times in one object; leave one")
    return table


_PARSERS: dict[str, Callable[[str], Any]] = {
    "TOML": tomllib.loads,
    "JSON": functools.partial(json.loads, object_pairs_hook=_unique),
}


def apply_overrides(data: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return a copy of ``data`` with each ``"dotted.key=value"`` set."""
    result: dict[str, Any] = _copied(data)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{short_repr(override)}: an override must read KEY=VALUE")
        *path, last = (part.strip() for part in key.split("."))
        if not all((*path, last)):
            raise ConfigError(
                f"{short_repr(override)}: a dotted key must have a name before, between and after its dots"
            )
        if len(path) >= MAX_DEPTH:
            raise ConfigError(f"{short_repr(override)}: tables may be nested {MAX_DEPTH} deep at most")
        place = result
        for part in path:
            if isinstance(place, dict):
                place = place.setdefault(part, {})
            else:
                place = place[_entry(place, part, override)]
            if not isinstance(place, dict | list):
                raise ConfigError(
                    f"{short_repr(override)}: {short_repr(part)} is a value, and has no {short_repr(last)}"
                )
        if isinstance(place, dict):
            place[last] = _toml_value(text)
        else:
            place[_entry(place, last, override)] = _toml_value(text)
    _check_shape(result, "config")
    return result


def _check_shape(data: Any, where: str) -> None:
    """Reject tables and lists that are nested deeper than MAX_DEPTH, and keys that are no strings."""
    depth, level = 0, [data]
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ConfigError(f"{where}: tables may be nested {MAX_DEPTH} deep at most")
        for table in level:
            for key in table if isinstance(table, Mapping) else ():
                if not isinstance(key, str):
                    raise ConfigError(f"{where}: the keys of a table must be strings: {short_repr(key)}")
        level = [
            value
            for parent in level
            for value in (parent.values() if isinstance(parent, Mapping) else parent)
            if isinstance(value, Mapping | list | tuple)
        ]


def _copied(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _copied(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_copied(value) for value in data]
    return data


def _entry(entries: list[Any], name: str, override: str) -> int:
    """The index of the list's entry that an override names: by its index, else its id, else its plugin."""
    if name.isdecimal() and len(name) < 10 and int(name) < len(entries):
        return int(name)
    tables = {index: entry for index, entry in enumerate(entries) if isinstance(entry, Mapping)}
    for key in ("id", "use"):
        found = [index for index, table in tables.items() if _short(table.get(key)) == name]
        if len(found) > 1:
            rule = f"names {len(found)} entries; write an index of {short_repr(found)}"
            raise ConfigError(f"{short_repr(override)}: {short_repr(name)} {rule}")
        if found:
            return found[0]
    names = dict.fromkeys(_short(table.get(key)) for table in tables.values() for key in ("id", "use"))
    known = [*map(str, range(len(entries))), *filter(None, names)][:MAX_HINTS]
    hint = did_you_mean(name, known)
    raise ConfigError(f"{short_repr(override)}: no entry {short_repr(name)}{hint}")


def _short(name: Any) -> str:
    """``superloop-plugin-cells:lstm`` -> ``lstm``."""
    return name.rpartition(":")[2] if isinstance(name, str) else ""


def _toml_value(text: str) -> Any:
    """``16`` -> 16, ``[1, 2]`` -> [1, 2]; other text is a string: ``adam`` -> "adam"."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # no TOML, or an integer of more than 4,300 digits
        return text.strip()
    return parsed["value"] if len(parsed) == 1 else text.strip()
