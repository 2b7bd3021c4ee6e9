"""``superloop -p FILE``: a file whose plugins are those of this process."""

import json
import os
import subprocess
import sys

import keras
import pytest

from superloop_core.registry import load_registry, local, registry, registry_in_use

RING = """
import attrs
from keras import ops

import superloop_core
from sizes_beside import WIDTH


@attrs.frozen(kw_only=True)
class RingConfig(superloop_core.SystemSettings):
    width: int = WIDTH

    @property
    def control_size(self):
        return self.width

    @property
    def output_size(self):
        return self.width


@superloop_core.register
class RingBuffer(superloop_core.System[RingConfig]):
    "Reads what is written."

    def initial_state(self, sequence):
        return (ops.zeros((sequence.batch_size, 1)),)

    def step(self, control, state, constants):
        return control, state, {}
"""
HOOKS = """
import click
from superloop_core import hookimpl

@hookimpl
def superloop_add_commands(cli):
    cli.add_command(click.Command("greet", callback=lambda: print("hello")))
"""
CONFIG = """
[loop]
inputs = 9
outputs = 8
[[loop.cells]]
use = "gru"
units = 2
[[loop.systems]]
use = "ring_buffer"
[task]
use = "copy"
length = 2
[train]
steps = 1
batch_size = 2
evaluate_on = 2
final_on = 2
xla = false
"""


@pytest.fixture(autouse=True)
def process(monkeypatch, no_local_plugins):
    """Files are forgotten after a test."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("SUPERLOOP_DISABLE_PLUGINS", "")  # -p no:NAME changes it
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        if name.endswith("_beside"):
            del sys.modules[name]


@pytest.fixture
def written(tmp_path):
    """Writes a file; its path."""

    def write(text, name="ring_beside.py"):
        (tmp_path / "sizes_beside.py").write_text("WIDTH = 3")
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_its_plugins_may_be_used_by_every_command(superloop, written):
    path = written(RING)
    listed = json.loads(superloop("-p", path, "plugins", "--json").stdout)
    (row,) = (row for row in listed if row["name"] == "ring_buffer")
    assert (row["distribution"], row["state"], row["summary"]) == ("local", "ready", "Reads what is written.")
    (described,) = json.loads(superloop("-p", path, "describe", "ring_buffer", "--json").stdout)
    assert (described["factory"], described["sizes"]["output_size"]) == ("ring_beside:RingBuffer", 3)
    assert "defined by this process" in superloop("-p", path, "describe", "local:ring_buffer").stdout
    assert 'use = "ring_buffer"' in superloop("-p", path, "init", "ring_buffer").stdout
    config = written(CONFIG, "config.toml")
    valid = json.loads(superloop("-p", path, "validate", config, "--json").stdout)
    assert valid["config"]["loop"]["systems"][0]["use"] == "local:ring_buffer"


def test_a_run_is_trained_with_it_and_says_so_where_it_is_missing(superloop, written, tmp_path, monkeypatch):
    path, config, run = written(RING), written(CONFIG, "config.toml"), tmp_path / "run"
    superloop("-p", path, "train", config, "--out", run)
    superloop("-p", path, "eval", run, "--sequences", 2)
    monkeypatch.setattr(registry, "_local", {})
    with registry_in_use(None):
        for command in (
            ["resume", run, "--steps", 2],
            ["eval", run],
            ["trace", run, "--out", tmp_path / "t.npz"],
        ):
            error = str(superloop(*command, status=1).exception)
            assert "no system 'local:ring_buffer'; it is defined by no package" in error
            assert "run superloop -p FILE" in error


def test_a_file_may_have_hooks_of_its_own_and_be_given_beside_others(superloop, written):
    hooks, path = written(HOOKS, "hooks_beside.py"), written(RING)
    assert superloop("-p", hooks, "-p", path, "-p", "no:lstm", "greet").stdout == "hello\n"
    assert superloop("-p", hooks, "greet").stdout == "hello\n"  # it is imported once
    assert {record.name for record in load_registry().records if record.distribution == "local"} == {
        "ring_buffer"
    }
    assert "lstm" in {plugin.name for plugin in load_registry().blocked}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\n1 / 0", ":2: ZeroDivisionError: division by zero; for the traceback run: python "),
        ("x = 1\ny = (", ":2: SyntaxError: '(' was never closed"),
        ("def f():\n    raise SystemExit(3)\n\nf()", ":2: SystemExit: 3; "),
        ("import json\njson.loads('x')", ":2: JSONDecodeError: "),
        ("import absent_beside", ":1: ModuleNotFoundError: No module named 'absent_beside'"),
        (
            HOOKS.replace("add_commands", "add_comands"),
            ": there is no hook 'superloop_add_comands'; did you mean",
        ),
        ("x = 1", ": it registers nothing; write @superloop_core.register above a class, or a hook"),
        (
            RING.replace("register\n", "register('stack')\n"),
            "superloop-plugin-stacks has a system 'stack' already",
        ),
    ],
)
def test_an_error_in_the_file_is_reported_in_a_line_with_its_place(superloop, written, text, told):
    path = written(text, "wrong_beside.py")
    error = str(superloop("-p", path, "plugins", status=1).exception)
    assert error.startswith(f"-p {path}")
    assert told in error
    assert "\n" not in error
    assert "wrong_beside" not in sys.modules


def test_what_is_no_file_is_reported(superloop, written, tmp_path):
    error = str(superloop("-p", tmp_path / "absent_beside.py", "plugins", status=1).exception)
    assert error.endswith("absent_beside.py: must be a Python file, NAME.py")
    error = str(superloop("-p", written("x = 1", "json.py"), "plugins", status=1).exception)
    assert error.endswith("the name 'json' is that of another module; rename the file")
    done = superloop("-p", "memory.txt", "plugins", status=2)
    assert "a plugin to exclude: 'memory.txt'; or FILE.py, a file to import" in done.stderr


@pytest.mark.slow
def test_what_the_file_prints_is_not_the_commands_output(written):
    path = written(RING + "\nprint('hello')\n")
    done = subprocess.run(
        [sys.executable, "-m", "superloop_core.cli", "-p", path.name, "plugins", "--json"],
        cwd=path.parent, capture_output=True, text=True, check=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert "ring_buffer" in {row["name"] for row in json.loads(done.stdout)}
    assert done.stderr == "hello\n"


@pytest.mark.slow
def test_a_file_may_register_an_optimizer_with_keras(superloop, written, tmp_path):
    optimizer = """
import keras

@keras.saving.register_keras_serializable("beside")
class Mine(keras.optimizers.SGD):
    pass
"""
    path = written(optimizer)
    config = written(CONFIG.replace('"ring_buffer"', '"tape"\nwidth = 2'), "config.toml")
    try:
        superloop(
            "-p", path, "train", config, "--out", tmp_path / "run", "--set", "train.optimizer=beside>Mine"
        )
    finally:
        del keras.saving.get_custom_objects()["beside>Mine"]


def test_a_file_is_imported_once(written):
    path = written(RING)
    local.load_file(path)
    module = sys.modules["ring_beside"]
    local.load_file(path)
    assert sys.modules["ring_beside"] is module
