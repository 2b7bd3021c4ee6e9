"""The example configs learn what they say, from the seed they hold."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "docs/examples"


@pytest.mark.parametrize("name", ["last_two_before_nine", "last_two_before_nine_sgu", "nested"])
def test_a_network_learns_to_walk_a_tape(name, tmp_path):
    command = [sys.executable, "-m", "superloop_core.cli", "train", EXAMPLES / f"{name}.toml"]
    done = subprocess.run(
        [*command, "--out", tmp_path / "run"], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    final = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1])
    assert final["final"] is True
    assert final["accuracy"] >= 0.99
