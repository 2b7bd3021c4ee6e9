"""The installed packages are tested, as users get them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import superloop_core

ROOT = Path(__file__).parents[2]


def test_tox_tests_the_installed_package_and_not_the_checkout():
    assert is_installed(superloop_core.__file__) or "SUPERLOOP_TEST_INSTALLED" not in os.environ


@pytest.mark.skipif("SUPERLOOP_TEST_INSTALLED" not in os.environ, reason="run by tox")
def test_processes_that_tests_start_import_the_installed_package():
    command = [sys.executable, "-c", "import superloop_core; print(superloop_core.__file__)"]
    assert is_installed(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def is_installed(path):
    return ROOT not in Path(path).parents or ".tox" in path
