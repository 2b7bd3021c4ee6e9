"""Trackers that record training runs: MLflow, trackio and W&B."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from superloop_core import TableSpec, hookimpl
from superloop_core.errors import Problem
from superloop_plugin_trackers.settings import MlflowConfig, TrackConfig, TrackioConfig, WandbConfig

if TYPE_CHECKING:
    from pathlib import Path

    from superloop_core.config import Config
    from superloop_plugin_trackers.tracking import Tracking

T = TypeVar("T")
PACKAGES = {
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}  # what each tracker imports

__all__ = ["MlflowConfig", "TrackConfig", "TrackioConfig", "WandbConfig"]


@hookimpl
def superloop_config_tables() -> Iterator[TableSpec]:
    """Own ``track``."""
    yield TableSpec(name="track", config=TrackConfig)


@hookimpl
def superloop_check_training(config: Config) -> Iterator[Problem]:
    """Find trackers that are not installed."""
    table = config.tables.get("track", TrackConfig())
    for tracker, packages in PACKAGES.items():
        missing = [package for package in packages if find_spec(package) is None]
        if getattr(table, tracker) and missing:
            install = f"pip install 'superloop-plugin-trackers[{tracker}]'"
            yield Problem("track", f"{tracker!r} needs {', '.join(missing)}: {install}")


@hookimpl
def superloop_add_callbacks(config: Config, folder: Path) -> Iterator[Tracking]:
    """Record the run with each tracker that the config names."""
    table = config.tables.get("track")
    if table is None:
        return
    from superloop_plugin_trackers.stores.mlflow_store import MlflowStore
    from superloop_plugin_trackers.stores.trackio_store import TrackioStore
    from superloop_plugin_trackers.stores.wandb_store import WandbStore
    from superloop_plugin_trackers.tracking import Tracking

    if table.mlflow:
        yield Tracking(MlflowStore(_settings(table.mlflow, MlflowConfig)), config, folder)
    if table.trackio:
        yield Tracking(TrackioStore(_settings(table.trackio, TrackioConfig)), config, folder)
    if table.wandb:
        yield Tracking(WandbStore(_settings(table.wandb, WandbConfig)), config, folder)


def _settings(given: T | bool, cls: type[T]) -> T:
    return cls() if isinstance(given, bool) else given
