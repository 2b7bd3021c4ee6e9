"""The command line, in processes of its own."""

import json
import os
import re
import subprocess
import sys
import tomllib

import pytest

from superloop_core.registry import registry_in_use


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


def test_in_a_pipe_a_table_has_a_line_for_each_row():
    rows = json.loads(run("plugins", "--json").stdout)
    lines = run("plugins", COLUMNS="").stdout.splitlines()
    assert [line.split()[1] for line in lines[1:]] == [row["name"] for row in rows]
    (meaning,) = (
        line for line in run("describe", "lstm", COLUMNS="").stdout.splitlines() if "dropout" in line[:8]
    )
    assert meaning.rstrip().endswith("with one mask for a whole sequence.")


def test_an_error_of_ours_exits_with_2_and_no_traceback(tmp_path):
    (tmp_path / "config.toml").write_text('[[loop.cells]]\nuse = "gru"\nunit = 3\n')
    done = run("train", str(tmp_path / "config.toml"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("superloop: error: loop.cells[0] \"gru\": no setting 'unit'")
    assert "Traceback" not in done.stderr


def test_ctrl_c_while_tensorflow_starts_exits_with_130_and_one_line(tmp_path):
    (tmp_path / "tensorflow.py").write_text("import os\nos.write(2, b'noise')\nraise KeyboardInterrupt\n")
    (tmp_path / "config.toml").write_text('[loop]\ninputs = 1\n[[loop.cells]]\nuse = "gru"\nunits = 3\n')
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    done = run("validate", str(tmp_path / "config.toml"), PYTHONPATH=path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "superloop: interrupted\n")


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


LIGHT = """
import attrs, click
from superloop_core import CellSpec, hookimpl

@attrs.frozen
class Settings:
    units: int = 1

@hookimpl
def superloop_register():
    print("noise")
    yield CellSpec(name="gru", config=Settings, factory="a:b", summary="A cell.")

@hookimpl
def superloop_add_commands(cli):
    cli.add_command(click.Command("mine", callback=lambda: print("run")))
"""


@pytest.fixture
def beside(fake_distribution, monkeypatch):
    """Installs a plugin with the cell ``gru`` and the command ``mine``, beside the others."""
    for variable in ("SUPERLOOP_PLUGINS", "SUPERLOOP_DISABLE_PLUGINS"):  # -p changes the environment
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    fake_distribution("superloop-plugin-beside", {"beside_light": LIGHT})
    with registry_in_use(None):
        yield


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["plugins", "--help"], ["validate", "-h"], ["check-plugin", "--help"], ["-p", "x"]],
)
def test_no_plugin_is_imported_where_none_is_needed(arguments, superloop, beside):
    superloop(*arguments, status=None)
    assert "beside_light" not in sys.modules


def test_help_lists_the_commands_of_plugins(superloop, beside):
    assert re.search(r"^  mine", superloop("--help").stdout, re.M)
    assert superloop("mine").stdout == "run\n"


@pytest.mark.parametrize(
    "arguments",
    [["-p", "no:superloop_plugin_beside"], ["-pno:beside_light"], ["-p", "no:lstm", "-p", "no:beside_light"]],
)
def test_the_commands_of_an_excluded_plugin_are_not_listed(arguments, superloop, beside):
    assert not re.search(r"^  mine", superloop("--help", *arguments).stdout, re.M)
    assert "superloop-plugin-beside" in superloop("mine", status=2).stderr.partition("excluded:")[2]


@pytest.mark.parametrize("value", ["lstm", "no:", "no: ", "no:no:lstm", "no:a,b", ""])
def test_what_is_no_name_to_exclude_is_rejected(value, superloop, beside):
    done = superloop("-p", value, "plugins", status=2)
    rule = "-p needs no:NAME, with the name of a plugin to exclude"
    assert f"{rule}: {value!r}; or FILE.py, a file to import" in done.stderr


def test_a_misspelt_exclusion_is_reported(superloop, beside):
    done = superloop("-p", "no:superloop-plugin-stack", "plugins", "--json")
    assert "names 'superloop-plugin-stack', which is no plugin, entry point or distribution" in done.stderr
    assert "did you mean 'superloop-plugin-stacks'?" in done.stderr
    assert json.loads(done.stdout)


def test_a_warning_is_printed_once(superloop, beside):
    done = superloop("describe", "lstm")
    assert done.stderr.count("2 distributions have a cell 'gru'") == 1


def test_describe_gives_the_names_that_work_in_configs(superloop, beside):
    shown = " ".join(superloop("describe", "superloop-plugin-beside:gru").stdout.split())
    assert 'in configs use = "superloop-plugin-beside:gru"' in shown
    assert 'use = "gru"' not in shown
    shown = " ".join(superloop("describe", "lstm").stdout.split())
    assert 'use = "lstm", or use = "superloop-plugin-cells:lstm"' in shown


@pytest.mark.parametrize(
    "arguments", [["plugins", "--json"], ["describe", "lstm", "--json"], ["init", "lstm"]]
)
def test_stdout_holds_one_document_whatever_a_plugin_prints(arguments, superloop, beside):
    done = superloop(*arguments)
    (tomllib.loads if "init" in arguments else json.loads)(done.stdout)
    assert "noise" in done.stderr


def test_a_summary_that_the_encoding_lacks_is_escaped(installed):
    text = LIGHT.replace("A cell.", "\u2603 \\udcff").replace('name="gru"', 'name="snow"')
    environment = {"PYTHONPATH": installed(text), "PYTHONIOENCODING": "ascii", "COLUMNS": "200"}
    done = run("plugins", **environment)
    assert done.returncode == 0, done.stderr
    assert r"\u2603 \udcff" in done.stdout
