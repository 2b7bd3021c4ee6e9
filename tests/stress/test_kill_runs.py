"""Runs that are killed at random moments lose nothing; `tox -e stress` kills hundreds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_runs.py")


def report_of(kills, seed):
    """Kill runs, and return the report."""
    done = subprocess.run(
        [sys.executable, SCRIPT, "--kills", str(kills), "--seed", str(seed)], capture_output=True, text=True
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    print(json.dumps(report, indent=2))
    return report


@pytest.mark.release
def test_a_few_runs_that_are_killed_end_as_one_that_was_left_alone():
    report = report_of(8, seed=1)
    assert report["kills"] >= 8
    assert report["problems"] == []


@pytest.mark.stress
def test_hundreds_of_runs_that_are_killed_end_as_one_that_was_left_alone():
    kills = int(os.environ.get("SUPERLOOP_STRESS_KILLS", "300"))
    report = report_of(kills, seed=int(os.environ.get("SUPERLOOP_STRESS_SEED", "0")))
    assert report["kills"] >= kills
    assert report["problems"] == []
