"""The command line, in processes of its own."""

import json
import os
import subprocess
import sys

import pytest


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "superloop_core.cli", *arguments],
        capture_output=True, text=True, env=os.environ | environment,
    )  # fmt: skip


def test_plugins_are_listed_as_json():
    rows = json.loads(run("plugins", "--json").stdout)
    (attention,) = (row for row in rows if row["name"] == "attention")
    assert attention.pop("summary").startswith("Attention that walks a data tape")
    assert attention.pop("version")
    assert attention == {
        "name": "attention",
        "kind": "system",
        "distribution": "superloop-plugin-attention",
        "state": "ready",
    }
    assert {row["kind"] for row in rows} == {"cell", "system", "task", "metric"}


def test_plugins_are_listed_as_a_table():
    shown = run("plugins", COLUMNS="200").stdout
    assert "register_memory" in shown
    assert "superloop-plugin-registers" in shown


def test_an_error_of_ours_exits_with_2_and_no_traceback(tmp_path):
    (tmp_path / "config.toml").write_text('[[loop.cells]]\nuse = "gru"\nunit = 3\n')
    done = run("train", str(tmp_path / "config.toml"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("superloop: error: loop.cells[0] \"gru\": no setting 'unit'")
    assert "Traceback" not in done.stderr


def test_a_plugin_may_be_left_out_from_the_command_line_and_by_the_environment():
    rows = json.loads(run("-p", "no:lstm", "plugins", "--json", SUPERLOOP_DISABLE_PLUGINS="gru").stdout)
    states = {row["name"]: row["state"] for row in rows}
    assert (states["lstm"], states["gru"], states["sgu"]) == ("blocked", "blocked", "ready")
    done = run("-p", "lstm", "plugins")
    assert done.returncode == 2
    assert "-p needs no:NAME" in done.stderr


def test_no_command_is_lost_but_those_of_what_is_left_out():
    told = run("-p", "no:superloop_plugin_lab", "train").stderr
    assert "No such command 'train'. Plugins are excluded: superloop-plugin-lab." in told
    told = run("train", SUPERLOOP_PLUGINS="lstm").stderr
    assert "superloop-plugin-lab" in told.partition("Plugins are excluded:")[2]
    rows = json.loads(run("plugins", "--json", SUPERLOOP_PLUGINS="").stdout)
    assert {row["state"] for row in rows} == {"blocked"}


def test_a_broken_plugin_is_an_error_where_that_is_asked_for(installed):
    done = run("plugins", PYTHONPATH=installed("import nowhere_at_all"), SUPERLOOP_STRICT_PLUGINS="1")
    assert done.returncode == 2
    assert "superloop: error: fake-one is broken" in done.stderr


def test_an_unknown_command_exits_with_2():
    done = run("trian")
    assert done.returncode == 2
    assert "No such command 'trian'" in done.stderr


@pytest.fixture
def installed(tmp_path):
    """Makes a distribution ``fake-one`` of a light module's text, and returns where it is."""

    def install(text):
        (tmp_path / "fake_one.py").write_text(text)
        info = tmp_path / "fake_one-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-one\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[superloop.plugins]\none = fake_one\n")
        return str(tmp_path)

    return install


def test_a_broken_plugin_is_warned_of_and_the_rest_works(installed):
    done = run("plugins", "--json", PYTHONPATH=installed("import nowhere_at_all"))
    assert done.returncode == 0
    assert "warning: fake-one is broken: ModuleNotFoundError: No module named 'nowhere" in done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["one"]["state"] == "broken"
    assert rows["lstm"]["state"] == "ready"


def test_brackets_in_a_plugins_words_are_no_markup(installed):
    done = run("plugins", COLUMNS="200", PYTHONPATH=installed("raise ValueError('[/x] in [table]')"))
    assert done.returncode == 0
    assert "ValueError: [/x] in [table]" in done.stdout
