"""Training on many workers: processes with the same weights, each with its rows of every batch."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superloop_plugin_lab.distributed.cluster import Cluster, read_cluster
    from superloop_plugin_lab.distributed.gradients import compute_gradients
    from superloop_plugin_lab.distributed.parts import Part, parts_of
    from superloop_plugin_lab.distributed.step import training_step
    from superloop_plugin_lab.distributed.workers import ALONE, Workers, WorkersError, start_workers

__all__ = [
    "ALONE", "Cluster", "Part", "Workers", "WorkersError", "compute_gradients", "parts_of", "read_cluster",
    "start_workers", "training_step",
]  # fmt: skip

_LAZY = {  # so that what starts workers does not start TensorFlow
    "ALONE": "workers",
    "Cluster": "cluster",
    "Part": "parts",
    "Workers": "workers",
    "WorkersError": "workers",
    "compute_gradients": "gradients",
    "parts_of": "parts",
    "read_cluster": "cluster",
    "start_workers": "workers",
    "training_step": "step",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return __all__
