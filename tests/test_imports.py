"""What is imported: names are told without Keras and TensorFlow."""

import os
import subprocess
import sys

import pytest


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
def test_names_are_listed_without_keras_and_tensorflow(code):
    modules = modules_after(code)
    assert "superloop_core" in modules
    assert not modules & {"keras", "tensorflow", "numpy", "h5py", "matplotlib"}


def test_another_backend_is_rejected_before_keras_is_imported():
    code = (
        "import superloop_core\n"
        "try: superloop_core.Superloop\n"
        "except superloop_core.SuperloopError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, env=os.environ | {"KERAS_BACKEND": "jax"},
    )  # fmt: skip
    assert done.stdout.startswith("superloop_core runs on Keras's TensorFlow backend, not on 'jax'")
