import json
import os
import signal
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import pytest
import tomli_w
from readers import Mlflow, Trackio, Wandb

TRAIN = {"batch_size": 8, "log_every": 2, "evaluate_every": 2, "evaluate_on": 32, "final_on": 32, "xla": False}
CONFIG = {
    "loop": {"cells": [{"use": "gru", "units": 4}]},
    "task": {"use": "copy", "length": 3},
    "train": {"steps": 4, **TRAIN},
}


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_works():
    """Ctrl-C works as in a terminal; a shell's background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """The folder of all stores of the tests: MLflow takes seconds to make one, trackio has one a process."""
    folder = tmp_path_factory.mktemp("store")
    os.environ["TRACKIO_DIR"] = str(folder / "trackio")
    return folder


@pytest.fixture
def reader(request, store, tmp_path):
    """Reads what the tracker of ``request.param`` recorded in a project of this test's own."""
    return {"mlflow": Mlflow, "trackio": Trackio, "wandb": Wandb}[request.param](store, tmp_path.name)


@pytest.fixture
def superloop(monkeypatch, capfd):
    """Runs the command line in this process; returns exit code, stdout and stderr."""
    from superloop_core.cli import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["superloop", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *capfd.readouterr()

    return call


@pytest.fixture
def config_file(tmp_path):
    """Writes a small config with a table ``[track]`` to a file."""

    def write(track):
        path = tmp_path / "small.toml"
        path.write_text(tomli_w.dumps(CONFIG | {"track": track}))
        return path

    return write


@pytest.fixture
def lines_of():
    """The lines of the metrics of a run folder."""
    return lambda folder: [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
