"""Errors: one base class, and a hint at the nearest right name."""

import pickle

import pytest

import superloop_core
from superloop_core.errors import ConfigError, Problem, SuperloopError, TraceError, did_you_mean


@pytest.mark.parametrize("name", ["ConfigError", "PluginError", "SourceError", "TraceError", "WeightsError"])
def test_every_error_is_a_superloop_error(name):
    assert issubclass(getattr(superloop_core, name), SuperloopError)


def test_the_nearest_name_is_told_and_all_where_none_is_near():
    assert did_you_mean("dpeth", ["depth", "width"]) == "; did you mean 'depth'?"
    assert did_you_mean("zzz", ["width", "depth"]) == "; there are: depth, width"
    assert did_you_mean("zzz", []) == ""


def test_a_config_error_lists_its_problems_and_survives_pickling():
    error = ConfigError([Problem("loop", "is empty"), Problem("", "is odd")])
    assert str(error) == "loop: is empty\nis odd"
    assert pickle.loads(pickle.dumps(error)).problems == error.problems


def test_a_trace_error_reads_as_a_sentence():
    assert str(TraceError("no trace 'x'")) == "no trace 'x'"
