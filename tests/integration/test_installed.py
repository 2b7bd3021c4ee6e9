"""The installed packages are tested, as users get them."""

import os
from pathlib import Path

import superloop_core

ROOT = Path(__file__).parents[2]


def test_tox_tests_the_installed_package_and_not_the_checkout():
    installed = ROOT not in Path(superloop_core.__file__).parents or ".tox" in superloop_core.__file__
    assert installed or "SUPERLOOP_TEST_INSTALLED" not in os.environ
