"""Plugins as a stranger makes, installs and checks them: in a clean environment, by wheels and tox."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIRST_PARTY = ("attention", "cells", "lab", "tasks", "view")

pytestmark = [pytest.mark.release, pytest.mark.xdist_group("strangers")]  # who share the environment


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Wheels of the core and of what a plugin's tests need: what PyPI will have."""
    folder = tmp_path_factory.mktemp("wheels")
    sources = [ROOT, *(ROOT / "plugins" / f"superloop-plugin-{name}" for name in FIRST_PARTY)]
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--disable-pip-version-check"]
    run(*pip, "--wheel-dir", folder, *sources)
    return folder


@pytest.fixture(scope="module")
def clean(wheels, tmp_path_factory):
    """Runs commands in a clean virtual environment that has superloop, and tox with and without uv."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", folder)
    environment = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    settings = ("PIP_", "UV_", "SSL_")
    environment |= {name: value for name, value in os.environ.items() if name.startswith(settings)}
    environment |= {
        "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
        "PIP_FIND_LINKS": str(wheels),
        "UV_FIND_LINKS": str(wheels),
        "UV_NATIVE_TLS": "1",  # certificates of the system, as pip has them
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "SUPERLOOP_STORED_PROGRAMS": "0",
    }

    def command(*arguments, cwd):
        return run(*arguments, cwd=cwd, env=environment)

    names = [f"superloop-plugin-{name}" for name in FIRST_PARTY]
    command(folder / "bin/python", "-m", "pip", "install", "--quiet", "tox", "tox-uv", *names, cwd=folder)
    return command


def run_tox(clean, plugin, *, by_pip=False):
    """Run a plugin's tox; uv installs TensorFlow in a second and pip in 25, so pip does it only once."""
    runner = "virtualenv" if by_pip else "uv-venv-runner"
    return clean("tox", "-q", "--runner", runner, "-x", "testenv.uv_seed=true", cwd=plugin)


@pytest.mark.parametrize("kind", ["system", "cell", "task", "metric", "command", "table"])
def test_a_new_plugin_passes_its_tox_and_is_used_by_name(kind, clean, tmp_path):
    name = f"my_{kind}"
    clean("superloop", "new-plugin", name, "--kind", kind, cwd=tmp_path)
    plugin = tmp_path / f"superloop-plugin-my-{kind}"
    printed = run_tox(clean, plugin, by_pip=kind == "system")
    assert "Success: no issues found" in printed  # mypy
    assert " passed in " in printed

    clean("pip", "install", "--quiet", plugin, cwd=tmp_path)
    registered = kind not in ("command", "table")
    clean("superloop", "init", name if registered else "lstm", "-o", "mine.toml", cwd=tmp_path)
    if kind == "table":
        with (tmp_path / "mine.toml").open("a") as file:
            file.write("[my_table]\nsteps = 7\n")
    told = json.loads(clean("superloop", "validate", "mine.toml", "--json", cwd=tmp_path))
    if registered:
        assert f"superloop-plugin-my-{kind}:{name}" in json.dumps(told["config"])
    if kind == "table":
        assert told["config"]["my_table"]["steps"] == 7
    if kind == "command":
        assert "lstm_cell/kernel" in clean("superloop", "my-command", "mine.toml", cwd=tmp_path)
    if kind == "task":
        clean("superloop", "train", "mine.toml", "--steps", "2", "--out", "runs/mine", cwd=tmp_path)
        assert (tmp_path / "runs/mine/model.keras").is_file()
    if kind in ("system", "cell"):
        clean("python", "-c", USE, "mine.toml", cwd=tmp_path)


USE = """
import sys, numpy as np, superloop_core
loop = superloop_core.Superloop(sys.argv[1])
print(loop(np.zeros((2, 3, 8), "float32")).shape)
"""


def test_the_example_of_a_plugin_passes_its_tox_and_is_used_by_name(clean, tmp_path):
    plugin = tmp_path / "superloop-plugin-ncps"
    source = ROOT / "docs/examples/superloop-plugin-ncps"
    for path in run("git", "ls-files", cwd=source).splitlines():
        (plugin / path).parent.mkdir(parents=True, exist_ok=True)
        (plugin / path).write_bytes((source / path).read_bytes())
    assert " passed in " in run_tox(clean, plugin)
    clean("pip", "install", "--quiet", plugin, cwd=tmp_path)
    clean("superloop", "init", "cfc", "-o", "mine.toml", cwd=tmp_path)
    clean("python", "-c", USE, "mine.toml", cwd=tmp_path)
