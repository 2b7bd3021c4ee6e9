import json
import os
import signal
import struct
import sys
from collections import Counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import pytest
import tomli_w

TRAIN = {
    "batch_size": 8,
    "log_every": 2,
    "evaluate_every": 2,
    "evaluate_on": 32,
    "final_on": 32,
    "xla": False,
}
CONFIG = {
    "loop": {"cells": [{"use": "gru", "units": 4}]},
    "task": {"use": "copy", "length": 3},
    "train": {"steps": 4, **TRAIN},
}


class Mlflow:
    """A project is an experiment."""

    def __init__(self, store, project):
        self._mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
        pytest.importorskip("sqlalchemy", reason="the extra mlflow is not installed")
        self._uri, self._project = f"sqlite:///{store}/mlflow.db", project
        self.settings = {"mlflow": {"uri": self._uri, "experiment": project, "tags": {"by": "test"}}}

    def runs(self):
        client = self._mlflow.MlflowClient(self._uri)
        experiment = client.get_experiment_by_name(self._project)
        runs = client.search_runs([experiment.experiment_id])
        return [
            {
                "id": run.info.run_id,
                "name": run.info.run_name,
                "points": Counter(
                    (one.key, one.step, one.value)
                    for name in run.data.metrics
                    for one in client.get_metric_history(run.info.run_id, name)
                ),
                "parameters": run.data.params,
                "tags": run.data.tags,
                "summary": run.data.metrics,
                "status": run.info.status,
            }
            for run in runs
        ]


class Trackio:
    """All processes of the tests have a store each."""

    def __init__(self, store, project):
        self._trackio = pytest.importorskip("trackio", reason="the extra trackio is not installed")
        self._project = project
        self.settings = {"trackio": {"folder": f"{store}/trackio", "project": project}}

    def runs(self):
        from trackio.sqlite_storage import SQLiteStorage

        found = []
        for run in self._trackio.Api().runs(self._project):
            rows = SQLiteStorage.get_logs(self._project, run.name, run_id=run.id)
            points = [
                (name, row["step"], value)
                for row in rows
                for name, value in row.items()
                if name not in ("step", "timestamp")
            ]
            config = {name: value for name, value in run.config.items() if not name.startswith("_")}
            summary = {name: value for name, _, value in points}
            found.append(
                {
                    "id": run.id,
                    "name": run.name,
                    "points": Counter(points),
                    "parameters": {key: str(value) for key, value in config.items()},
                    "tags": config,
                    "summary": summary,
                }
            )
        return found


class Wandb:
    """W&B reads a file offline by its command `wandb sync` alone; this reads the records of the file."""

    def __init__(self, store, project):
        del store
        pytest.importorskip("wandb", reason="the extra wandb is not installed")
        self.settings = {"wandb": {"project": project, "tags": ["small"]}}
        self.folder = None  # the run folder

    def runs(self):
        from wandb.proto.wandb_internal_pb2 import Record

        found = []
        for path in sorted(self.folder.glob("wandb/offline-run-*/*.wandb")):
            run = {"points": Counter(), "parameters": {}, "tags": {}, "summary": {}}
            for data in _records(path.read_bytes()):
                record = Record.FromString(data)
                kind = record.WhichOneof("record_type")
                if kind == "run":
                    config = {item.key: json.loads(item.value_json) for item in record.run.config.update}
                    run |= {"id": record.run.run_id, "name": record.run.display_name, "tags": config}
                    run["parameters"] = {key: str(value) for key, value in config.items()}
                elif kind == "history":
                    items = record.history.item
                    row = {"".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}
                    step = row.get("_step", record.history.step.num)
                    named = {name: value for name, value in row.items() if not name.startswith("_")}
                    run["points"].update((name, step, value) for name, value in named.items())
                elif kind == "summary":
                    for item in record.summary.update:
                        run["summary"]["".join(item.nested_key) or item.key] = json.loads(item.value_json)
            found.append(run)
        return found


def _records(data):
    """The records of a LevelDB log with a header of seven bytes: parts of blocks of 32 KiB."""
    at, record = 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        record += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


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
