"""Hostile model and weights files are refused with a reason, and do nothing."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("hostile_files.py")
_spec = importlib.util.spec_from_file_location("superloop_hostile_files", SCRIPT)
hostile_files = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hostile_files)

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="inotify is of Linux"),
    pytest.mark.xdist_group("hostile files"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    done = subprocess.run([sys.executable, SCRIPT, folder], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("name", hostile_files.CASES)
def test_a_hostile_file_is_refused_with_a_reason_and_does_nothing(results, name):
    message, found = results[name]
    assert message is not None, "it was loaded"
    assert hostile_files.CASES[name][2] in message
    assert len(message) < 4000
    assert message.replace("\n", "").isprintable()
    assert not found


def test_a_benign_file_loads_and_does_nothing_either(results):
    assert results["benign"] == [None, []]


def test_the_watch_sees_a_read_of_another_file(results):
    message, found = results["control"]
    assert message is None
    assert [one.split()[0] for one in found] == ["open", "canary"]
