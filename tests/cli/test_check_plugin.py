"""``superloop check-plugin``; what the checks are is tests/testing's."""

import json

LIGHT = """
import attrs
from superloop_core import SystemSpec, hookimpl

@attrs.frozen
class Config:
    size: int = 1

@hookimpl
def superloop_register():
    yield SystemSpec(name="brought", config=Config, factory="nowhere:nothing", summary="")
"""


def test_the_exit_status_is_0_where_every_check_holds(superloop):
    shown = superloop("check-plugin", "stack", "--only", "metadata", "--only", "round_trip").stdout
    assert "passed  superloop-plugin-stacks:stack (system) metadata" in shown
    assert "2 run, 2 passed, 0 failed, 0 excused" in shown


def test_it_is_1_where_one_fails(superloop, tmp_plugin):
    tmp_plugin("superloop-plugin-one", {"one_light": LIGHT})
    done = superloop("check-plugin", "brought", "--only", "metadata", "--only", "state", status=1)
    assert "failed  superloop-plugin-one:brought (system) metadata  summary must be one line" in done.stdout
    assert "its factory 'nowhere:nothing' cannot be imported" in done.stdout
    told = json.loads(superloop("check-plugin", "brought", "--only", "metadata", "--json", status=1).stdout)
    assert told["counts"] == {"run": 1, "passed": 0, "failed": 1, "excused": 0}
    assert told["results"][0]["check"] == "metadata"


def test_all_checks_every_plugin(superloop):
    told = json.loads(superloop("check-plugin", "--all", "--only", "metadata", "--json").stdout)
    assert {"superloop-plugin-stacks:stack", "superloop-plugin-tasks:final_distance"} <= {
        result["plugin"] for result in told["results"]
    }


def test_something_must_be_named(superloop):
    assert str(superloop("check-plugin", status=1).exception) == "name a plugin, or write --all"
