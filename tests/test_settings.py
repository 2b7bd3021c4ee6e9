"""Settings: types taken strictly, and every problem told."""

from typing import Any, Literal

import attrs
import numpy as np
import pytest
from attrs.validators import ge, in_

from superloop_core.errors import Problem
from superloop_core.settings import read_settings, settings_to_dict


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


def test_what_is_none_is_left_out_as_toml_has_no_null():
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
        ({"size": 1, "mode": "c"}, "'mode' must be one of 'a', 'b': 'c'; there are: a, b"),
        ({"size": 1, "sizes": 3}, "'sizes' must be a list: 3 (int)"),
        ({"size": 1, "table": 3}, "'table' must be a table: 3 (int)"),
        ({"size": 1, "table": [{"a": 1}]}, "'table' must be a table: [{'a': 1}] (list)"),
        ({"size": 1, "names": "abc"}, "'names' must be a list: 'abc' (str)"),
        ({"size": 1, "sizes": ["x"]}, "'sizes' must be a list: ['x'] (list)"),
        ({"size": 1, "seed": "x"}, "'seed' must be an integer: 'x' (str)"),
        ({"size": 1, "odd": 2}, "'odd' must be in [1, 3] (got 2)"),
        ({"size": 1, "sise": 2}, "no setting 'sise'; did you mean 'size'?"),
        ({"size": 10, "flag": True}, "'flag' goes with sizes up to 9"),
    ],
)
def test_a_wrong_value_is_told_with_place_rule_and_value(given, told):
    assert read(**given) == (None, [f"here: {told}"])


def test_every_problem_is_told():
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
