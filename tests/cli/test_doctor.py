"""``superloop doctor``."""

import json
import sys
from importlib.metadata import Distribution

import pytest

from superloop_core.cli.doctor import stale
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


@pytest.mark.release
def test_a_whole_installation_has_no_problem(superloop):
    told = json.loads(superloop("doctor", "--json").stdout)
    assert told["problems"] == []
    assert told["devices"]["xla"] == ""
    assert told["versions"]["superloop-core"]
    assert "superloop-plugin-stacks:stack" in told["plugins"]["ready"]
    assert "No problem was found." in superloop("doctor", "--quick").stdout


def test_what_an_uninstallation_left_over_is_reported(superloop, tmp_path, monkeypatch):
    (tmp_path / "ghost-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    told = json.loads(superloop("doctor", "--json", "--quick").stdout)
    assert told["problems"] == []
    assert told["warnings"] == [
        f"{tmp_path / 'ghost-1.0.dist-info'} has no name that can be read: remove it, and install the "
        "distribution again"
    ]


def test_conflicts_broken_plugins_and_the_environment_are_reported(superloop, tmp_plugin, monkeypatch):
    tmp_plugin("superloop-plugin-one", {"one_light": LIGHT})
    tmp_plugin("superloop-plugin-two", {"two_light": LIGHT})
    tmp_plugin("superloop-plugin-three", {"three_light": "import nowhere_at_all"})
    tmp_plugin("superloop-plugin-four", {"four_light": LIGHT}, entry_points={})
    tmp_plugin("superloop-plugin-five", {"five_light": LIGHT}, requires=["superloop-core>=99"])
    monkeypatch.setenv("SUPERLOOP_DISABLE_PLUGINS", "superloop-plugin-cells")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    told = json.loads(superloop("doctor", "--json", "--quick", status=1).stdout)
    problems, warnings = "\n".join(told["problems"]), "\n".join(told["warnings"])
    assert "superloop-plugin-three 1.0 is broken: ModuleNotFoundError" in warnings
    assert "superloop-plugin-five 1.0 is broken: PluginError: it is made for superloop-core >=99" in warnings
    assert "2 distributions have a system 'brought'; write 'superloop-plugin-one:brought' or" in problems
    assert "superloop-plugin-four has no entry point in the group superloop.plugins" in problems
    assert "KERAS_BACKEND is 'torch', but superloop_core runs on TensorFlow" in problems
    assert told["environment"]["SUPERLOOP_DISABLE_PLUGINS"] == "superloop-plugin-cells"
    shown = superloop("doctor", "--quick", status=1).stdout
    assert "problem: " in shown
    assert "warning: superloop-plugin-three 1.0 is broken" in shown
    assert load_registry().conflicts


def test_a_broken_plugin_alone_is_a_warning(superloop, tmp_plugin):
    tmp_plugin("superloop-plugin-three", {"three_light": "import nowhere_at_all"})
    report = json.loads(superloop("doctor", "--json", "--quick").stdout)
    assert report["problems"] == []
    assert len(report["warnings"]) == 1


def test_a_slow_plugin_is_named_with_its_time(superloop, tmp_plugin, monkeypatch):
    monkeypatch.setattr(sys.modules["superloop_core.cli.doctor"], "SLOW", 0.1)
    slow = f"import time\ntime.sleep(0.11)\n{LIGHT}"
    tmp_plugin("superloop-plugin-slow", {"slow_light": slow})
    (warning,) = json.loads(superloop("doctor", "--json", "--quick").stdout)["warnings"]
    assert warning.startswith("superloop-plugin-slow takes 0.1 s to import whenever plugins are listed")


def test_one_distribution_in_two_versions_is_reported_with_both_places(superloop, tmp_plugin):
    tmp_plugin("superloop-plugin-one", {"one_light": LIGHT}, version="2.0")
    tmp_plugin("superloop-plugin-one", {"one_light": LIGHT}, version="1.0")
    (problem,) = json.loads(superloop("doctor", "--json", "--quick", status=1).stdout)["problems"]
    assert problem.startswith("superloop-plugin-one is installed in 2 versions: ")
    assert "superloop_plugin_one-1.0.dist-info) and 2.0 (" in problem or "2.0.dist-info) and 1.0 (" in problem


@pytest.fixture
def editable(fake_distribution, tmp_path):
    """Makes a distribution that says that it was installed from a folder with pip install -e."""

    def make(pyproject):
        source = tmp_path / "source"
        if pyproject is not None:
            source.mkdir()
            (source / "pyproject.toml").write_text(pyproject)
        folder = fake_distribution("superloop-plugin-edited", {"edited_light": LIGHT})
        (info,) = folder.glob("*.dist-info")
        told = {"url": source.as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(told))
        (distribution,) = Distribution.discover(path=[str(folder)])
        return list(stale(distribution))

    return make


def test_an_editable_installation_that_is_as_it_was_is_no_problem(editable):
    declared = '[project]\n[project.entry-points."superloop.plugins"]\nedited_light = "edited_light"\n'
    assert editable(declared) == []


def test_entry_points_that_changed_since_the_installation_are_reported(editable):
    declared = '[project]\n[project.entry-points."superloop.plugins"]\nedited = "edited_light"\n'
    (problem,) = editable(declared)
    assert "was installed with the entry points {'edited_light': 'edited_light'}; now they are" in problem
    assert "pip install -e" in problem


def test_an_editable_installation_whose_folder_is_gone_is_reported(editable):
    (problem,) = editable(None)
    assert "which is gone: pip uninstall superloop-plugin-edited" in problem
