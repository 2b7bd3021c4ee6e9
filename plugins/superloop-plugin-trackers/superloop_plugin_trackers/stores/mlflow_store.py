"""MLflow: a run that the tag ``superloop.run`` finds."""

import importlib
import time
from collections.abc import Mapping
from typing import Any

from superloop_plugin_trackers.settings import MlflowConfig
from superloop_plugin_trackers.stores import Point, TrackedRun

MAX_METRICS, MAX_PARAMETERS = 1000, 100  # in a request, by MLflow's rules


class MlflowStore:
    """A store or server of MLflow.

    Args:
        settings: where it is.
    """

    def __init__(self, settings: MlflowConfig):
        self._settings = settings
        self._entities: Any = None
        self._client: Any = None
        self._experiment = self._id = ""
        self._final: set[Point] = set()
        self._run: TrackedRun

    def open(self, run: TrackedRun) -> Mapping[Point, float]:
        """Open the run with the tag, or a new one, and return its points.

        MLflow never changes a parameter: one that ``resume --set`` changed is a tag as well, with its new
        value.
        """
        self._run = run
        self._entities = importlib.import_module("mlflow.entities")
        self._client = importlib.import_module("mlflow").MlflowClient(self._settings.uri or None)
        name = self._settings.experiment
        found = self._client.get_experiment_by_name(name)
        self._experiment = found.experiment_id if found else self._client.create_experiment(name)
        runs = self._client.search_runs([self._experiment], f"tags.`superloop.run` = '{run.id}'")
        if not runs:
            self._create()
            return {}
        self._id = runs[0].info.run_id
        self._client.update_run(self._id, status="RUNNING")
        old = runs[0].data.params
        changed = {
            key: str(value) for key, value in run.parameters.items() if old.get(key, str(value)) != str(value)
        }
        for key, value in (changed | run.tags).items():
            self._client.set_tag(self._id, key, value)
        self._add_parameters({key: value for key, value in run.parameters.items() if key not in old})
        histories = (self._client.get_metric_history(self._id, name) for name in runs[0].data.metrics)
        points = {(one.key, one.step): one.value for history in histories for one in history}
        self._final = set(points)
        return points

    def replace(self) -> None:
        """Delete the run, which ``mlflow`` can restore, and open a new one."""
        self._client.delete_run(self._id)
        self._create()

    def log(self, points: Mapping[Point, float]) -> None:
        """Record points as metrics."""
        now = int(1000 * time.time())
        metrics = [self._entities.Metric(name, value, now, step) for (name, step), value in points.items()]
        for first in range(0, len(metrics), MAX_METRICS):
            self._client.log_batch(self._id, metrics=metrics[first : first + MAX_METRICS])

    def close(self, final: Mapping[Point, float] | None) -> None:
        """Record the final figures as metrics at the last step, and set the run's status."""
        self.log({point: value for point, value in (final or {}).items() if point not in self._final})
        self._client.set_terminated(self._id, "FAILED" if final is None else "FINISHED")

    def _create(self) -> None:
        name = self._settings.run or self._run.folder.name
        tags = self._settings.tags | self._run.tags
        self._id = self._client.create_run(self._experiment, run_name=name, tags=tags).info.run_id
        self._final = set()
        self._add_parameters(self._run.parameters)

    def _add_parameters(self, parameters: Mapping[str, Any]) -> None:
        made = [self._entities.Param(key, str(value)) for key, value in parameters.items()]
        for first in range(0, len(made), MAX_PARAMETERS):
            self._client.log_batch(self._id, params=made[first : first + MAX_PARAMETERS])
