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

CONFIG = """
[loop]
inputs = 2
cells = [{ use = "lstm", units = 3 }]
systems = [{ use = "stack" }]

[task]
use = "copy"
"""


def test_the_exit_status_is_0_where_every_check_holds(superloop):
    shown = superloop("check-plugin", "stack", "--only", "metadata", "--only", "round_trip").stdout
    assert "passed  superloop-plugin-stacks:stack (system) metadata" in shown
    assert "2 run, 2 passed, 0 failed, 0 excused" in shown


def test_it_is_1_where_one_fails(superloop, tmp_plugin):
    tmp_plugin("superloop-plugin-one", {"one_light": LIGHT})
    done = superloop("check-plugin", "brought", "--only", "metadata", "--only", "state", status=1)
    lines = done.stdout.splitlines()
    first = "failed  superloop-plugin-one:brought (system) metadata  It has a summary of one line, and its"
    assert lines[0].startswith(first)
    assert lines[1].startswith("        summary must be one line")
    assert lines[2].endswith("one_light.py:5")
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
    assert str(superloop("check-plugin", status=1).exception) == (
        "name a plugin or a distribution, or write --all or --config FILE"
    )


def test_settings_and_a_config_are_checked(superloop, tmp_path):
    only = "--only", "round_trip", "--json"
    (result,) = json.loads(superloop("check-plugin", "stack", "--set", "depth=7", *only).stdout)["results"]
    assert "depth=7" in result["form"]
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    told = json.loads(superloop("check-plugin", "--config", config, *only, "--only", "samples").stdout)
    assert [(result["plugin"].partition(":")[2], result["check"]) for result in told["results"]] == [
        ("lstm", "round_trip"),
        ("stack", "round_trip"),
        ("copy", "round_trip"),
        ("copy", "samples"),
    ]
    assert "units=3" in told["results"][0]["form"]
    changed = superloop("check-plugin", "--config", config, "--set", "loop.cells.0.units=5", *only).stdout
    assert "units=5" in json.loads(changed)["results"][0]["form"]
    both = superloop("check-plugin", "stack", "--config", config, status=1)
    assert "give either names or --config FILE" in str(both.exception)
    refused = superloop("check-plugin", "stack", "--set", "depht=7", "--only", "round_trip", status=None)
    assert "no setting 'depht'; did you mean 'depth'?" in str(refused.exception)
    assert "no check 'sample'; did you mean 'samples'?" in str(
        superloop("check-plugin", "copy", "--only", "sample", status=1).exception
    )


def test_a_distribution_is_checked_and_a_badge_is_written(superloop, tmp_path):
    path = tmp_path / "badge.svg"
    shown = superloop("check-plugin", "superloop-plugin-kv", "--only", "metadata", "--badge", path).stdout
    assert "passed  superloop-plugin-kv:key_value (system) metadata" in shown
    assert "conformant" in path.read_text()


def test_thorough_draws_settings(superloop):
    shown = superloop("check-plugin", "copy", "--thorough", "--only", "drawn_settings").stdout
    assert shown.startswith("passed  superloop-plugin-tasks:copy (task) drawn_settings")
