"""The kit on plugins of this process, which no distribution has."""

import sys
from pathlib import Path
from typing import NamedTuple

import attrs
import keras
import pytest

from superloop_core import PluginError, System, SystemSettings, register
from superloop_core.registry import load_registry, local
from superloop_core.testing import check_plugin, conformance
from superloop_core.testing.kit import OF_DISTRIBUTIONS

pytestmark = pytest.mark.usefixtures("no_local_plugins")


@attrs.frozen(kw_only=True)
class RingConfig(SystemSettings):
    """Settings.

    Args:
        width: numbers that are read.
    """

    width: int = 2

    @property
    def control_size(self):
        return self.width

    @property
    def output_size(self):
        return self.width


class RingState(NamedTuple):
    last: object


class Ring(System[RingConfig]):
    """It reads the mean of its last two controls."""

    def initial_state(self, sequence):
        return RingState(keras.ops.zeros((sequence.batch_size, self.config.width), self.variable_dtype))

    def step(self, control, state, constants):
        return (control + state.last) / 2, RingState(control), {}


def test_its_checks_are_all_but_those_of_a_distribution():
    register("of_this_test")(Ring)
    checks = {check.name for check in conformance("of_this_test")}
    assert checks == {check.name for check in conformance("stack")} - set(OF_DISTRIBUTIONS)
    assert len(checks) == len(conformance("stack")) - 3
    check_plugin(
        "local:of_this_test", only=["description", "round_trip", "mistakes", "pure"]
    ).raise_failures()


class Prepared(Ring):
    """It unpacks what it has prepared, as a loop always gives it."""

    def prepare(self):
        return (0.5,)

    def constants(self, sequence):
        return sequence.prepared

    def step(self, control, state, constants):
        (half,) = constants
        return half * (control + state.last), RingState(control), {}


def test_what_a_part_prepares_is_there_in_every_check_and_a_report_is_readable():
    register("prepared")(Prepared)
    report = check_plugin("prepared", only=["sizes", "pure", "state", "chunks_are_the_whole"])
    assert str(report) == "4 run, 4 passed, 0 failed, 0 excused"

    class Wrong(Prepared):
        def step(self, control, state, constants):
            return control[:, :1], state, {}

    register("wrong")(Wrong)
    shown = str(check_plugin("wrong", only=["sizes"])).splitlines()
    assert shown[0] == "1 run, 0 passed, 1 failed, 0 excused"
    assert shown[2].startswith("local:wrong, sizes: ")
    assert 4 <= len(shown) <= 12


@pytest.mark.slow
def test_one_of_a_file_is_loaded_in_a_new_process(tmp_path, monkeypatch):
    text = Path(__file__).read_text().partition("\n\n\ndef test_")[0]
    path = tmp_path / "ring_of_a_file.py"
    path.write_text(f"{text}\nregister('of_a_file')(Ring)\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    local.load_file(path)
    (record,) = load_registry().find("of_a_file")
    assert local.file_of(record) == path
    check_plugin("of_a_file", only=["saved_and_loaded"]).raise_failures()
    del sys.modules["ring_of_a_file"]


def test_one_of_a_notebook_is_loaded_in_this_process(monkeypatch):
    monkeypatch.setattr(Ring, "__module__", "__main__")
    register("of_a_notebook")(Ring)
    (record,) = load_registry().find("of_a_notebook")
    assert local.file_of(record) is None
    check_plugin("of_a_notebook", only=["saved_and_loaded"]).raise_failures()


def test_an_excuse_for_a_check_that_it_has_not_is_rejected():
    register("excused", expected_failures={"import_time": "it is slow"})(Ring)
    with pytest.raises(PluginError, match="has 'import_time', which is no check of a system"):
        conformance("excused")
