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


def modules_after(code):
    """The modules that a fresh interpreter has imported after running some code."""
    code += "\nimport sys; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import superloop_core",
        "from superloop_core.registry import load_registry; assert load_registry().records",
        "from superloop_core.cli import cli; cli(['plugins', '--json'], standalone_mode=False)",
        "from superloop_core.registry import load_registry; from superloop_core.cli import cli\n"
        "load_registry().add_commands(cli); cli(['--help'], standalone_mode=False)",
    ],
)
def test_names_are_told_without_keras_and_tensorflow(code):
    modules = modules_after(code)
    assert "superloop_core" in modules
    assert not modules & {"keras", "tensorflow", "numpy", "h5py", "matplotlib"}


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
    assert {row["kind"] for row in rows} == {"cell", "system", "task"}


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


def test_an_unknown_command_exits_with_2():
    done = run("trian")
    assert done.returncode == 2
    assert "No such command 'trian'" in done.stderr


def test_a_broken_plugin_is_warned_of_and_the_rest_works(tmp_path):
    (tmp_path / "fake_broken.py").write_text("import nowhere_at_all")
    info = tmp_path / "fake_broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[superloop.plugins]\nbroken = fake_broken\n")
    done = run("plugins", "--json", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0
    assert "warning: fake-broken is broken: ModuleNotFoundError: No module named 'nowhere" in done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["broken"]["state"] == "broken"
    assert rows["lstm"]["state"] == "ready"
