"""The fixtures for the tests of plugins, in a run of pytest of their own."""

pytest_plugins = ["pytester"]

TESTS = '''
import subprocess, sys
import pytest
from superloop_core import PluginError
from superloop_core.registry import load_registry

LIGHT = """
import attrs
from superloop_core import SystemSpec, hookimpl

@attrs.frozen
class Config:
    size: int = 1

@hookimpl
def superloop_register():
    yield SystemSpec(name="brought", config=Config, factory="a:b", summary="A system")
"""


def test_an_empty_registry(superloop_registry):
    assert load_registry() is superloop_registry
    assert not superloop_registry.records


def test_a_plugin_for_one_test(tmp_plugin):
    registry = tmp_plugin("superloop-plugin-brought", {"brought_light": LIGHT}, version="2.5")
    record = registry.resolve("system", "brought")
    assert (record.distribution, record.version) == ("superloop-plugin-brought", "2.5")
    assert load_registry() is registry
    command = [sys.executable, "-m", "superloop_core.cli", "plugins"]
    told = subprocess.run(command, capture_output=True, text=True)
    assert "superloop-plugin-brought 2.5" in told.stdout


def test_it_is_gone_after_it():
    with pytest.raises(PluginError):
        load_registry().resolve("system", "brought")
    assert "brought_light" not in sys.modules
'''


def test_the_fixtures_are_there_without_being_asked_for(pytester):
    pytester.makepyfile(TESTS)
    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    outcome.assert_outcomes(passed=3)
