"""Settings: types taken strictly, and every problem told."""

import typing
from abc import ABC, abstractmethod
from typing import Any, Literal

import attrs
import numpy as np
import pytest
from attrs.validators import ge, in_

from superloop_core.config.settings import read_settings, settings_to_dict
from superloop_core.describe.plugin import settings_of
from superloop_core.errors import ConfigError, Problem


@attrs.frozen(kw_only=True)
class Settings:
    """All the kinds of fields that settings have."""

    size: int = attrs.field(validator=ge(1))
    rate: float = 0.5
    name: str = "x"
    flag: bool = False
    mode: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    seed: int | None = None
    odd: int = attrs.field(default=1, validator=in_([1, 3]))
    table: dict[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self):
        if self.flag and self.size > 9:
            raise ValueError("'flag' goes with sizes up to 9")


def read(**given):
    problems: list[Problem] = []
    settings = read_settings(Settings, given, "here", problems)
    assert (settings is None) == bool(problems)
    return settings, [str(problem) for problem in problems]


def test_values_of_the_right_types_are_taken_and_come_back():
    given = {"size": 3, "rate": 1.5, "name": "y", "flag": True, "mode": "b", "sizes": [1, 2], "seed": 7}
    settings, _ = read(**given)
    assert settings == Settings(**given | {"sizes": (1, 2)})
    assert read(**settings_to_dict(settings))[0] == settings


def test_a_table_is_taken_as_it_stands_and_comes_back():
    given = {"size": 3, "table": {"rate": 0.5, "names": ["a"], "inner": {"flag": True}}}
    settings, _ = read(**given)
    assert settings.table == given["table"]
    assert settings_to_dict(settings)["table"] == given["table"]


def test_numpy_numbers_are_numbers_and_an_integer_is_a_float_where_one_is_wanted():
    settings, _ = read(size=np.int64(3), rate=1)
    assert type(settings.size) is int
    assert type(settings.rate) is float


def test_none_is_left_out_as_toml_has_no_null():
    assert "seed" not in settings_to_dict(Settings(size=1))
    assert read(size=1, seed=None)[0].seed is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "'size' is missing; it must be an integer"),
        ({"size": "3"}, "'size' must be an integer: '3' (str)"),
        ({"size": 3.0}, "'size' must be an integer: 3.0 (float)"),
        ({"size": True}, "'size' must be an integer: True (bool)"),
        ({"size": 0}, "'size' must be >= 1: 0"),
        ({"size": 1, "rate": "fast"}, "'rate' must be a number: 'fast' (str)"),
        ({"size": 1, "name": 3}, "'name' must be a string: 3 (int)"),
        ({"size": 1, "flag": 1}, "'flag' must be true or false: 1 (int)"),
        ({"size": 1, "mode": "c"}, "'mode' must be one of 'a', 'b': 'c'"),
        ({"size": 1, "sizes": 3}, "'sizes' must be a list of integers: 3 (int)"),
        ({"size": 1, "table": 3}, "'table' must be a table: 3 (int)"),
        ({"size": 1, "table": [{"a": 1}]}, "'table' must be a table: [{'a': 1}] (list)"),
        ({"size": 1, "names": "abc"}, "'names' must be a list of strings: 'abc' (str)"),
        ({"size": 1, "sizes": ["x"]}, "'sizes[0]' must be an integer: 'x' (str)"),
        ({"size": 1, "seed": "x"}, "'seed' must be an integer: 'x' (str)"),
        ({"size": 1, "odd": 2}, "'odd' must be in [1, 3] (got 2)"),
        ({"size": 1, "sise": 2}, "no setting 'sise'; did you mean 'size'?"),
        ({"size": 10, "flag": True}, "'flag' goes with sizes up to 9"),
    ],
)
def test_a_wrong_value_is_reported_with_place_rule_and_value(given, told):
    assert read(**given) == (None, [f"here: {told}"])


def test_every_problem_is_reported():
    assert len(read(size=0, rate="x", nmae="y")[1]) == 3


def test_a_validator_may_compare_with_another_setting():
    @attrs.frozen
    class Range:
        low: int = attrs.field()
        high: int = 9

        @low.validator
        def _below(self, attribute, value):
            if value > self.high:
                raise ValueError(f"{attribute.name!r} must be <= high ({self.high}): {value}")

    problems: list[Problem] = []
    assert read_settings(Range, {"low": 3}, "here", problems) == Range(3)
    assert read_settings(Range, {"low": 12}, "here", problems) is None
    assert [str(problem) for problem in problems] == ["here: 'low' must be <= high (9): 12"]


def told_of(cls, **given):
    problems: list[Problem] = []
    settings = read_settings(cls, given, "here", problems)
    assert (settings is None) == bool(problems)
    return settings or [str(problem) for problem in problems]


def test_a_field_that_the_class_computes_is_no_setting():
    @attrs.frozen
    class Computed:
        size: int = 1
        area: int = attrs.field(init=False, default=attrs.Factory(lambda self: self.size**2, takes_self=True))

    assert told_of(Computed, area=4) == ["here: no setting 'area'; there are: size"]
    assert told_of(Computed, size=3).area == 9
    assert settings_to_dict(Computed(3)) == {"size": 3}


def test_none_is_rejected_where_it_would_come_back_as_another_default():
    @attrs.frozen
    class Null:
        must: int | None
        rate: float | None = 0.1
        sizes: tuple[int, ...] | None = attrs.field(factory=tuple)

    rule = "must not be None, as TOML has no null: give a value"
    told = [
        f"'must' {rule}",
        f"'rate' {rule}, or leave it out for its default, 0.1",
        f"'sizes' {rule}, or leave it out for its default, ()",
    ]
    assert told_of(Null, must=None, rate=None, sizes=None) == [f"here: {what}" for what in told]
    with pytest.raises(ConfigError) as refused:
        settings_to_dict(Null(None, None, None))
    assert str(refused.value).splitlines() == [f"Null: {what}" for what in told]


def test_none_that_a_factory_or_a_converter_makes_of_a_default_may_stay():
    @attrs.frozen
    class Null:
        made: int | None = attrs.field(factory=lambda: None)
        zero: int | None = attrs.field(default=0, converter=lambda value: value or None)

    assert told_of(Null) == Null(None, None)
    assert settings_to_dict(Null()) == {}


def test_a_setting_is_read_and_written_by_its_alias():
    @attrs.frozen(kw_only=True)
    class Aliased:
        """Two names that differ from the fields'.

        Args:
            rate: how fast.
            size: how many.
        """

        rate_: float = attrs.field(alias="rate", default=0.5, validator=ge(0))
        _size: int

    settings = told_of(Aliased, rate=1.5, size=2)
    assert settings == Aliased(rate=1.5, size=2)
    assert settings_to_dict(settings) == {"rate": 1.5, "size": 2}
    assert [setting.name for setting in settings_of(Aliased)] == ["rate", "size"]
    assert [setting.meaning for setting in settings_of(Aliased)] == ["how fast.", "how many."]
    assert told_of(Aliased, rate_=1.5, size=2) == ["here: no setting 'rate_'; did you mean 'rate'?"]
    assert told_of(Aliased, rate="x") == [
        "here: 'rate' must be a number: 'x' (str)",
        "here: 'size' is missing; it must be an integer",
    ]
    assert told_of(Aliased, rate=-1, size=2) == ["here: 'rate': 'rate_' must be >= 0: -1.0"]


def test_a_validator_sees_the_whole_instance():
    @attrs.frozen
    class Whole:
        low: int = attrs.field()
        high: int = 9

        @low.validator
        def _as_a_table(self, attribute, value):
            if attrs.asdict(self) == {"low": value, "high": 0}:
                raise ValueError("'high' must not be 0")

    assert told_of(Whole, low=3) == Whole(3)
    assert told_of(Whole, low=3, high=0) == ["here: 'low': 'high' must not be 0"]


def test_a_validator_that_asks_for_what_could_not_be_read_is_forgiven():
    @attrs.frozen
    class Range:
        low: int = attrs.field()
        high: int = 9
        size: int = attrs.field(default=1, validator=ge(1))

        @low.validator
        def _below(self, attribute, value):
            if value > self.high:
                raise ValueError("'low' must be below")

    assert told_of(Range, low=12, high="x", size=0) == [
        "here: 'high' must be an integer: 'x' (str)",
        "here: 'size' must be >= 1: 0",
    ]


@pytest.mark.parametrize("which", ["validator", "converter"])
def test_whatever_a_validator_or_a_converter_raises_is_reported_with_the_place(which):
    def look_up(*given):
        return {}[given[-1]]

    @attrs.frozen
    class Broken:
        name: str = attrs.field(**{which: look_up})
        size: int = attrs.field(default=1, validator=ge(1))

    wrong = "here: 'name': refused with KeyError: 'x'"
    assert told_of(Broken, name="x") == [wrong]
    assert sorted(told_of(Broken, name="x", size=0)) == [wrong, "here: 'size' must be >= 1: 0"]


def test_what_the_whole_raises_is_reported():
    @attrs.frozen
    class Broken:
        name: str

        def __attrs_post_init__(self):
            {}[self.name]

    assert told_of(Broken, name="x") == ["here: refused with KeyError: 'x'"]


def test_a_converter_runs_before_the_validators():
    @attrs.frozen
    class Converted:
        low: int = attrs.field(default=-1, converter=abs, validator=ge(0))
        high: int = attrs.field(
            default=0,
            converter=attrs.Converter(lambda value, self: value or self.low, takes_self=True),
            validator=ge(1),
        )
        mode: str = attrs.field(default="A", converter=str.lower, validator=in_(["a", "b"]))

    assert told_of(Converted, low=-3, mode="B") == Converted(-3, 0, "b")
    assert told_of(Converted, low=-3, mode="B").high == 3
    assert told_of(Converted, low=0, mode="C") == [
        "here: 'high' must be >= 1: 0",
        "here: 'mode' must be in ['a', 'b'] (got 'c')",
    ]


def test_an_abstract_class_is_reported():
    @attrs.frozen
    class Abstract(ABC):
        size: int

        @property
        @abstractmethod
        def output_size(self): ...

    (told,) = told_of(Abstract, size=1)
    assert told.startswith("here: Can't instantiate abstract class Abstract")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int | str, 3),
        (int | str, "auto"),
        (str | int, 3),
        (int | Literal["auto"], 3),
        (int | Literal["auto"], "auto"),
        (Literal["auto"] | float, 1.5),
        (float | str, 1.5),
        (float | str, "a"),
        (float | int, 3),
        (int | float, 1.5),
        (bool | int, True),
        (bool | int, 1),
        (int | bool, True),
        (int | str | None, "a"),
        (tuple[int, ...] | int, 3),
        (tuple[int, ...] | int, (3, 4)),
        (tuple[int, ...] | str, "abc"),
        (tuple[int | str, ...], (3, "a")),
        (dict[str, int | str], {"a": 3, "b": "c"}),
        (dict[str, Any] | str, "a"),
        (dict[str, Any] | int, {"a": 3}),
        (Literal["auto", 3] | bool, 3),
        (Literal[1] | bool, True),
        (typing.Union[int, str], "a"),  # noqa: UP007
        (typing.Optional[int | str], 3),  # noqa: UP045
    ],
)
def test_a_setting_of_several_types_takes_each_of_them_as_it_is(kind, value):
    cls = attrs.make_class("Several", {"x": attrs.field(type=kind)}, frozen=True, kw_only=True)
    problems: list[Problem] = []
    settings = read_settings(cls, {"x": value}, "here", problems)
    assert problems == []
    assert settings.x == value
    assert type(settings.x) is type(value)
    again = read_settings(cls, settings_to_dict(settings), "here", problems)
    assert again == settings
    (told,) = settings_of(cls)
    assert told.type != "anything"


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (int | str, 1.5, "'x' must be an integer or a string: 1.5 (float)"),
        (int | str, True, "'x' must be an integer or a string: True (bool)"),
        (int | Literal["auto"], "none", "'x' must be an integer or 'auto': 'none' (str)"),
        (int | Literal["a", "b"] | None, [], "'x' must be an integer or one of 'a', 'b': [] (list)"),
        (tuple[int, ...] | int, "abc", "'x' must be a list of integers or an integer: 'abc' (str)"),
        (tuple[int | str, ...], [1.5], "'x[0]' must be an integer or a string: 1.5 (float)"),
        (Literal[1, 2], True, "'x' must be one of 1, 2: True (bool)"),
    ],
)
def test_a_value_of_none_of_several_types_is_rejected(kind, value, told):
    cls = attrs.make_class("Several", {"x": attrs.field(type=kind)}, frozen=True, kw_only=True)
    problems: list[Problem] = []
    assert read_settings(cls, {"x": value}, "here", problems) is None
    assert [problem.what for problem in problems] == [told]


def test_types_that_cannot_be_resolved_are_a_fault_of_the_plugin():
    cls = attrs.make_class("Odd", {"x": attrs.field(type="Nowhere", default=1)})
    problems: list[Problem] = []
    assert read_settings(cls, {}, "here", problems) is None
    (problem,) = problems
    assert "the types of the settings Odd cannot be resolved: NameError" in problem.what


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("odd"), SystemExit(3), GeneratorExit(), pytest.skip.Exception("odd")]
)
def test_whatever_a_validator_raises_is_a_problem(error):
    def refuse(instance, attribute, value):
        raise error

    cls = attrs.make_class("Odd", {"x": attrs.field(type=int, default=1, validator=refuse)})
    problems: list[Problem] = []
    assert read_settings(cls, {}, "here", problems) is None
    assert [problem.what.partition(":")[0] for problem in problems] == ["'x'"]
    assert type(error).__name__ in problems[0].what


def test_many_unknown_settings_are_counted():
    problems: list[Problem] = []
    assert (
        read_settings(Settings, {"size": 1} | {f"s{n}": n for n in range(70_000)}, "here", problems) is None
    )
    assert len(problems) == 21
    assert problems[-1].what == "and 69,980 more unknown settings"
