"""Errors: one base class, and a hint at the nearest right name."""

import pickle

import attrs
import pytest

import superloop_core
from superloop_core.errors import (
    ConfigError,
    Problem,
    SuperloopError,
    TraceError,
    did_you_mean,
    message,
    reason,
    short_repr,
)


@pytest.mark.parametrize("name", ["ConfigError", "PluginError", "SourceError", "TraceError", "WeightsError"])
def test_every_error_is_a_superloop_error(name):
    assert issubclass(getattr(superloop_core, name), SuperloopError)


def test_the_nearest_name_is_reported_and_all_where_none_is_near():
    assert did_you_mean("dpeth", ["depth", "width"]) == "; did you mean 'depth'?"
    assert did_you_mean("zzz", ["width", "depth"]) == "; there are: depth, width"
    assert did_you_mean("zzz", ["width", "depth", "width"]) == "; there are: depth, width"
    assert did_you_mean("zzz", []) == ""


def test_a_value_is_shown_whole_where_it_is_short_and_never_fails():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert short_repr("x") == "'x'"
    assert short_repr("x" * 1000) == f"'{'x' * 199}..."
    assert short_repr(1 << 20_000) == "<int>"
    assert short_repr(deep) == "<list>"


def test_an_error_of_attrs_is_reported_without_its_attribute():
    @attrs.frozen
    class Settings:
        size: int = attrs.field(validator=attrs.validators.instance_of(int))

    with pytest.raises(TypeError) as refused:
        Settings("x")
    assert message(refused.value) == "'size' must be <class 'int'> (got 'x' that is a <class 'str'>)."
    assert message(OSError(2, "No such file")) == "[Errno 2] No such file"


def test_a_config_error_lists_its_problems_and_survives_pickling():
    error = ConfigError([Problem("loop", "is empty"), Problem("", "is odd")])
    assert str(error) == "loop: is empty\nis odd"
    assert pickle.loads(pickle.dumps(error)).problems == error.problems


def test_a_trace_error_reads_as_a_sentence():
    assert str(TraceError("no trace 'x'")) == "no trace 'x'"


def test_a_message_is_bounded_and_counts_what_it_leaves_out():
    error = ConfigError(Problem(f"place {number}", "x" * 10_000) for number in range(5_000))
    assert len(str(error)) <= 4_000
    assert str(error).endswith("\n... and 4,996 more")
    assert len(error.problems) == 5_000
    for cls in (SuperloopError, ConfigError, TraceError):
        assert len(str(cls("x" * 1_000_000))) <= 4_000
    assert len(str(TraceError("\x1b" * 1_000_000))) <= 4_000


def test_a_message_holds_no_control_codes_and_keeps_its_lines():
    told = str(SuperloopError("a\nb\t\x1b[2J\r\x07\u202e\udcff é"))
    assert told == "a\nb\t\\x1b[2J\\r\\x07\\u202e\\udcff é"
    assert str(Problem("loop\x1b", "\x9b2J")) == "loop\\x1b: \\x9b2J"


def test_the_message_of_an_error_that_has_none_is_said_to_be_unreadable():
    class Mute(Exception):
        def __str__(self):
            raise SystemExit

        __repr__ = __str__

    assert message(Mute()) == "<its message cannot be read>"
    assert reason(Mute()) == "Mute: <its message cannot be read>"
    assert short_repr(Mute()) == "<Mute>"
