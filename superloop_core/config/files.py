"""Configs as plain dicts: read from TOML and JSON files, with limits, and changed key by key."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from superloop_core.errors import ConfigError, did_you_mean
from superloop_core.limits import UnreadableError, read_file

MAX_BYTES = 1_000_000
MAX_DEPTH = 32


def load_dict(source: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """Return a config as a plain dict; a path's ending, ``.toml`` or ``.json``, is the format."""
    if isinstance(source, Mapping):
        data, where = dict(source), "config"
    elif not isinstance(source, str | Path):
        raise ConfigError(f"a config must be a dict or a path: {source!r} ({type(source).__name__})")
    else:
        path = Path(source)
        where = str(path)
        parsers = {".toml": tomllib.loads, ".json": json.loads}
        if path.suffix not in parsers:
            raise ConfigError(f"{where}: a config must be a .toml or a .json file")
        try:
            data = parsers[path.suffix](read_file(path, MAX_BYTES).decode())  # type: ignore[operator]
        except OSError as error:
            raise ConfigError(f"{where}: cannot be read: {error.strerror}") from error
        except UnreadableError as error:
            raise ConfigError(f"{where}: {error}") from error
        except (ValueError, RecursionError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"{where}: is no valid {path.suffix[1:].upper()}: {error}") from error
        if not isinstance(data, dict):
            raise ConfigError(f"{where}: must hold a table, not a {type(data).__name__}")
    if _depth(data) > MAX_DEPTH:
        raise ConfigError(f"{where}: tables may be nested {MAX_DEPTH} deep at most")
    return data


def apply_overrides(data: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return a copy of ``data`` with each ``"dotted.key=value"`` set."""
    result: dict[str, Any] = _copied(data)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{override!r}: an override must read KEY=VALUE")
        *path, last = (part.strip() for part in key.split("."))
        place = result
        for part in path:
            if isinstance(place, dict):
                place = place.setdefault(part, {})
            else:
                place = place[_entry(place, part, override)]
            if not isinstance(place, dict | list):
                raise ConfigError(f"{override!r}: {part!r} is a value, and has no {last!r}")
        if isinstance(place, dict):
            place[last] = _toml_value(text)
        else:
            place[_entry(place, last, override)] = _toml_value(text)
    return result


def _depth(data: Any) -> int:
    """How deep tables and lists are nested, counted to just past MAX_DEPTH."""
    depth, level = 0, [data]
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [
            value
            for parent in level
            for value in (parent.values() if isinstance(parent, Mapping) else parent)
            if isinstance(value, Mapping | list | tuple)
        ]
    return depth


def _copied(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _copied(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_copied(value) for value in data]
    return data


def _entry(entries: list[Any], name: str, override: str) -> int:
    """The index of the list's entry that an override names: by its index, else its id, else its plugin."""
    if name.isdecimal() and int(name) < len(entries):
        return int(name)
    tables = {index: entry for index, entry in enumerate(entries) if isinstance(entry, Mapping)}
    for key in ("id", "use"):
        found = [index for index, table in tables.items() if _short(table.get(key)) == name]
        if len(found) > 1:
            raise ConfigError(f"{override!r}: {name!r} names {len(found)} entries; write an index of {found}")
        if found:
            return found[0]
    known = [
        *map(str, range(len(entries))),
        *(_short(t.get(k)) for t in tables.values() for k in ("id", "use")),
    ]
    raise ConfigError(f"{override!r}: no entry {name!r}{did_you_mean(name, filter(None, known))}")


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
