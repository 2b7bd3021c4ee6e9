"""Runs that load what runs before compiled."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tomli_w
from superloop_plugin_lab import read_metrics
from superloop_plugin_lab.checkpoint import NESTS, Checkpoint

SWITCH = "SUPERLOOP_STORED_PROGRAMS"


@pytest.mark.release
@pytest.mark.skipif(sys.platform != "linux", reason="programs are stored on Linux")
def test_a_run_with_stored_programs_is_the_same_bit_by_bit_and_compiles_nothing(small, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(tomli_w.dumps(small | {"train": small["train"] | {"xla": True}}))
    cache = tmp_path / "cache"

    def run(*arguments, **environment):
        kept = {name: value for name, value in os.environ.items() if name != SWITCH}
        command = [sys.executable, "-m", "superloop_core.cli", *map(str, arguments)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=kept | {"XDG_CACHE_HOME": str(cache), **environment},
        )
        assert done.returncode == 0, done.stderr
        assert "prefer-no" not in done.stderr
        assert "text-format" not in done.stderr
        return done.stdout.replace(str(arguments[-1]), "")

    def stored():
        return {file.name: file.stat().st_mtime_ns for file in cache.rglob("*.pb")}

    folders = [tmp_path / name for name in ("without", "first", "second")]
    run("train", config, "--out", folders[0], **{SWITCH: "0"})
    assert not stored()
    run("train", config, "--out", folders[1])
    programs = stored()
    assert programs
    run("train", config, "--out", folders[2])
    assert stored() == programs
    checkpoints = [Checkpoint.load(folder / "checkpoint.npz") for folder in folders]
    metrics = [read_metrics(folder) for folder in folders]
    for index in (1, 2):
        assert metrics[index].equals(metrics[0])
        for name in NESTS:
            pairs = zip(getattr(checkpoints[0], name), getattr(checkpoints[index], name), strict=True)
            assert all(np.array_equal(mine, theirs) for mine, theirs in pairs)
    answers = [run("eval", "--json", folders[0], **{SWITCH: "0"}), run("eval", "--json", folders[0])]
    assert answers[0] == answers[1]
