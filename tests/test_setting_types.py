"""Each type of a setting: its values come back from TOML and JSON, or its class is refused as a whole."""

import collections.abc
import dataclasses
import datetime
import enum
import json
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NewType

import attrs
import pytest
import tomlkit
from attrs.validators import ge

from superloop_core import CellSpec, ConfigError
from superloop_core.config import load_dict
from superloop_core.config.settings import read_settings, settings_to_dict
from superloop_core.describe.plugin import settings_of
from superloop_core.errors import Problem
from superloop_core.setting_types import refused_setting


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mode(enum.StrEnum):
    FAST = "fast"


@attrs.frozen(kw_only=True)
class Layer:
    units: int = attrs.field(validator=ge(1))
    rate: float | None = None
    sizes: list[int] = attrs.field(factory=list)
    _name: str = "x"


@attrs.frozen(kw_only=True)
class Pool:
    pool: int
    layer: Layer | None = None


@attrs.frozen(kw_only=True)
class Tree:
    branches: tuple["Tree", ...] = ()


@attrs.frozen
class Bad:
    numbers: complex = 0


@attrs.frozen
class OtherPool:
    pool: int


@dataclasses.dataclass
class Data:
    x: int = 0


Units = NewType("Units", int)
LAYER = {"units": 1, "rate": 0.5, "sizes": [1, 2], "name": "y"}

# The type, its words, values of it, and other values by the place that the problem names.
TYPES = [
    (int, "an integer", [0, -3, 2**63 - 1], {"x": [1.0, True, "1", 2**63]}),
    (float, "a number", [1, 1.5, float("inf")], {"x": ["1", False, float("nan")]}),
    (str, "a string", ["", "ü\n\""], {"x": [1, True]}),
    (bool, "true or false", [True, False], {"x": [1, "true"]}),
    (Literal["a", 1], "one of 'a', 1", ["a", 1], {"x": ["b", True, 1.0]}),
    (Colour, "one of 'red', 'blue'", ["red", "blue"], {"x": ["RED", 1]}),
    (Level, "one of 1, 2", [1, 2], {"x": [3, True, 1.0]}),
    (Mode, "'fast'", ["fast"], {"x": ["slow"]}),
    (int | None, "an integer", [3], {"x": ["a"]}),
    (typing.Optional[int], "an integer", [3], {"x": ["a"]}),  # noqa: UP045
    (int | str, "an integer or a string", [1, "a"], {"x": [1.5, True]}),
    (int | Literal["auto"], "an integer or 'auto'", [1, "auto"], {"x": ["a", 1.5]}),
    (float | Literal[1], "a number or 1", [1, 2, 1.5], {"x": ["a"]}),
    (int | list[int], "an integer or a list of integers", [1, [1, 2], []], {"x": ["a"], "x[0]": [["a"]]}),
    (str | dict[str, int], "a string or a table of integers",
     ["a", {"a": 1}],
     {"x": [1], "x.a": [{"a": "b"}]}),
    (int | Layer, "an integer or a table of 'units', 'rate', 'sizes', 'name'", [1, LAYER], {"x": ["a"]}),
    (Layer | Pool | None, None,
     [LAYER, {"pool": 1}, {"pool": 1, "layer": LAYER}],
     {"x": [1, {"pul": 1}]}),
    (int | datetime.date, "an integer or a date as 2026-01-31",
     [1, datetime.date(2026, 1, 31)],
     {"x": ["x"]}),
    (list[int], "a list of integers", [[], [1, 2]], {"x[1]": [[1, "a"]], "x": ["ab", {"a": 1}]}),
    (list, "a list", [[], [1, "a", {"b": None}]], {"x": ["ab"]}),
    (tuple[int, ...], "a list of integers", [[], [1, 2]], {"x[1]": [[1, "a"]], "x": [3]}),
    (tuple[int, str], "a list of 2: an integer, a string", [[1, "a"]], {"x": [[1]], "x[0]": [["a", "b"]]}),
    (list[list[float]], "a list of lists of numbers", [[[1, 2.5], []]], {"x[0][1]": [[[1, "a"]]]}),
    (list[int | str], "a list of entries, each an integer or a string", [[1, "a"]], {"x[1]": [[1, 1.5]]}),
    (set[int], "a list of integers", [[], [3, 1, 2]], {"x[1]": [[1, "a"]], "x": ["ab"]}),
    (frozenset[str], "a list of strings", [[], ["b", "a"]], {"x[1]": [["a", 1]], "x": ["ab"]}),
    (frozenset[Colour], None, [["blue", "red"]], {"x[0]": [["a"]]}),
    (dict[str, int], "a table of integers", [{}, {"a": 1}], {"x.a": [{"a": "b"}], "x": [3, [1]]}),
    (dict[Colour, int], None, [{"red": 1}], {"x.a": [{"a": 1}]}),
    (dict[str, list[int]], "a table of lists of integers", [{"a": [1]}], {"x.a[1]": [{"a": [1, "b"]}]}),
    (Mapping[str, float], "a table of numbers", [{"a": 1, "b": 2.5}], {"x.a": [{"a": "b"}]}),
    (dict, "a table", [{"a": [1, {"b": None}]}], {"x": [3]}),
    (Sequence[int], "a list of integers", [[1, 2]], {"x[1]": [[1, "a"]], "x": ["ab"]}),
    (datetime.date, "a date as 2026-01-31",
     [datetime.date(2026, 1, 31), "2026-01-31"],
     {"x": ["31.1.2026", datetime.datetime(2026, 1, 31), 3]}),
    (datetime.datetime, "a date and time as 2026-01-31T12:00:00",
     [datetime.datetime(2026, 1, 31, 12), datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC),
      "2026-01-31T12:00:00"],
     {"x": ["2026-01-31", datetime.date(2026, 1, 31)]}),
    (datetime.time, "a time as 12:00:00", [datetime.time(12, 30, 1, 5), "12:00"], {"x": ["noon", 12]}),
    (list[datetime.date], "a list of dates as 2026-01-31", [[datetime.date(2026, 1, 31)]], {"x[0]": [["a"]]}),
    (Path, "a path", ["a/b", Path("/c")], {"x": [3, ["a"]]}),
    (Layer, "a table of 'units', 'rate', 'sizes', 'name'",
     [LAYER, {"units": 3}],
     {"x.units": [{}, {"units": 0}], "x.naem": [{"units": 1, "naem": "y"}],
      "x.sizes[1]": [{"units": 1, "sizes": [1, "a"]}], "x": [3]}),
    (list[Layer], None, [[LAYER, {"units": 3}]], {"x[1].units": [[{"units": 1}, {"units": "a"}]]}),
    (Tree, "a table of 'branches'",
     [{"branches": [{}, {"branches": [{}]}]}],
     {"x.branches[0]": [{"branches": [3]}]}),
    (Any, "anything",
     [3, "a", True, 1.5, [1, ["a"]], {"a": {"b": [1]}}],
     {"x": [datetime.date(2026, 1, 31), object], "x[0]": [[object]]}),
    (Any | None, None, [3, {"a": 1}], {"x": [object]}),
    (Units, "an integer", [3], {"x": ["a"]}),
    (list[Units], "a list of integers", [[3]], {"x[0]": [["a"]]}),
    (Annotated[int, "size"], "an integer", [3], {"x": ["a"]}),
]  # fmt: skip
WRONG = [
    (kind, value, place) for kind, _, _, wrong in TYPES for place, values in wrong.items() for value in values
]


def holder(kind):
    return attrs.make_class("Holder", {"x": attrs.field(type=kind)}, frozen=True, kw_only=True)


def read(cls, table):
    problems: list[Problem] = []
    settings = read_settings(cls, table, "here", problems)
    assert (settings is None) == bool(problems)
    return settings, [str(problem) for problem in problems]


@pytest.mark.parametrize(("kind", "words", "values", "wrong"), TYPES, ids=[str(row[0]) for row in TYPES])
def test_every_value_of_a_type_comes_back_from_toml_and_json(kind, words, values, wrong, tmp_path):
    cls = holder(kind)
    assert refused_setting(cls) == ""
    for value in values:
        settings, problems = read(cls, {"x": value})
        assert problems == []
        table = settings_to_dict(settings)
        assert read(cls, json.loads(json.dumps(table))) == (settings, [])
        if "None" not in str(table):  # TOML has no null
            assert read(cls, tomllib.loads(tomlkit.dumps(table))) == (settings, [])
    (setting,) = settings_of(cls)
    assert words in (None, setting.type)


@pytest.mark.parametrize(("kind", "value", "place"), WRONG, ids=str)
def test_every_other_value_is_refused_with_its_place(kind, value, place):
    settings, problems = read(holder(kind), {"x": value})
    assert settings is None
    (problem,) = problems
    assert problem.startswith("here: ")
    assert f"'{place}'" in problem


REFUSED = {
    complex: "complex is no type that a config can hold",
    bytes: "bytes is no type that a config can hold",
    object: "object is no type",
    Data: "Data is no type",
    collections.abc.Callable: "Callable is no type",
    collections.abc.Iterable[int]: "Iterable is no type",
    Literal[b"a"]: "b'a' is no string, number, true or false",
    enum.Enum("Odd", {"A": (1, 2)}): "(1, 2) is no string, number, true or false",
    list[complex]: "complex is no type",
    list[int | None]: "an entry of a list or a table may not be None",
    dict[str, Literal["a", None]]: "an entry of a list or a table may not be None",
    dict[int, str]: "the keys of a table must be strings",
    set[list[int]]: "a set cannot hold a list[int]",
    Bad: "the setting 'numbers' of Bad cannot be of the type complex",
    list[Bad] | int: "the setting 'numbers' of Bad cannot be of the type complex",
    str | Path: "str and Path look the same in a config",
    str | datetime.date: "str and date look the same in a config",
    str | Colour: "str and Colour look the same in a config",
    int | Level: "int and Level look the same in a config",
    list[int] | tuple[int, ...]: "list[int] and tuple[int, ...] look the same in a config",
    list[int] | list[str]: "list[int] and list[str] look the same in a config",
    dict[str, int] | Layer: "dict[str, int] and Layer look the same in a config",
    Pool | OtherPool: "Pool and OtherPool look the same in a config",
    int | Any: "a config cannot hold which of its types a value has",
}


@pytest.mark.parametrize(("kind", "why"), REFUSED.items(), ids=map(str, REFUSED))
def test_a_type_whose_values_would_not_come_back_is_refused_when_it_is_registered(kind, why):
    with pytest.raises(TypeError) as refused:
        CellSpec(name="odd", config=holder(kind), factory="a:b", summary="odd")
    (sentence,) = str(refused.value).splitlines()
    assert sentence.startswith("the setting 'x' of Holder cannot be of the type ")
    assert why in sentence


def test_all_problems_of_lists_and_nested_classes_are_reported_at_once():
    @attrs.frozen(kw_only=True)
    class Deep:
        layers: list[Layer]
        pools: dict[str, Pool]
        size: int

    given = {
        "layers": [{"units": 1}, {"units": 0, "sizes": [1, "a", "b"]}, {"unit": 3}, {"units": 0}, 7],
        "pools": {"a": {"pool": 1, "layer": {"units": "x"}}},
        "size": "x",
    }
    assert read(Deep, given)[1] == [
        "here: 'layers[1].sizes[1]' must be an integer: 'a' (str)",
        "here: 'layers[1].sizes[2]' must be an integer: 'b' (str)",
        "here: 'layers[1].units' must be >= 1: 0",
        "here: no setting 'layers[2].unit'; did you mean 'units'?",
        "here: 'layers[2].units' is missing; it must be an integer",
        "here: 'layers[3].units' must be >= 1: 0",
        "here: 'layers[4]' must be a table of 'units', 'rate', 'sizes', 'name': 7 (int)",
        "here: 'pools.a.layer.units' must be an integer: 'x' (str)",
        "here: 'size' must be an integer: 'x' (str)",
    ]


def test_problems_of_a_long_list_are_counted():
    _, problems = read(holder(list[int]), {"x": ["a"] * 10_000})
    assert len(problems) == 21
    assert problems[-1] == "here: 'x': and 9,980 more problems"


def test_what_a_nested_class_itself_raises_has_its_place():
    @attrs.frozen
    class Whole:
        low: int = 0

        def __attrs_post_init__(self):
            raise ValueError("low and high belong together")

    assert read(holder(list[Whole]), {"x": [{}]})[1] == ["here: 'x[0]': low and high belong together"]


def test_none_in_a_nested_class_is_refused_where_it_would_come_back_as_its_default():
    @attrs.frozen
    class Nulls:
        rate: float | None = 0.1

    rule = "must not be None, as TOML has no null: give a value, or leave it out for its default, 0.1"
    assert read(holder(Nulls), {"x": {"rate": None}})[1] == [f"here: 'x.rate' {rule}"]
    with pytest.raises(ConfigError, match="'rate' must not be None"):
        settings_to_dict(holder(Nulls)(x=Nulls(None)))


def test_a_file_holds_dates_as_toml_has_them(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("x = [2026-01-31, 2026-02-28]")
    settings, _ = read(holder(list[datetime.date]), load_dict(file))
    assert settings.x == [datetime.date(2026, 1, 31), datetime.date(2026, 2, 28)]
