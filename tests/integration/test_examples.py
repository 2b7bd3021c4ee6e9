"""The example configs are valid, and some are seen to learn what they say, from the seed they hold."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from superloop_plugin_lab.experiment import read_experiment

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
CONFIGS = sorted(path for path in EXAMPLES.rglob("*.toml") if path.name != "pyproject.toml")
CONFIGS = [path for path in CONFIGS if path.parent.name != "data"]  # whose files test_data_examples.py writes


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_example_is_a_loop_that_fits_its_task(path):
    experiment = read_experiment(path)  # or else it says what does not fit
    assert experiment.timesteps > 1


@pytest.mark.release
@pytest.mark.parametrize("name", ["last_two_before_nine", "last_two_before_nine_sgu", "nested"])
def test_a_network_learns_to_walk_a_tape(name, tmp_path):
    command = [sys.executable, "-m", "superloop_core.cli", "train", EXAMPLES / f"{name}.toml"]
    done = subprocess.run(
        [*command, "--out", tmp_path / "run"], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    final = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1])
    assert final["final"] is True
    assert final["test_accuracy"] >= 0.99
